"""Steps of building the head that ships with facewright."""
