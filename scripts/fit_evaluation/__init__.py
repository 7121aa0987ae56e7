"""What the evaluations of the fit share."""
