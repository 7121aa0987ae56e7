"""Expressions and specular albedo from one photo (Deng et al., ACM MM 2022): docs/methods/specular.md."""
