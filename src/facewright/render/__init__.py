"""A differentiable mesh renderer that knows no face."""
