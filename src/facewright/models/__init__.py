"""Face models: coefficients to vertices and albedo, landmarks, regions, priors."""
