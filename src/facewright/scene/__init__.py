"""What a picture is made of: cameras, poses, light, parameters."""
