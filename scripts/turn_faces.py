"""Write faces turned to large yaw, for ``train_landmarker.py --made``."""

from training_data.commands import write_made_faces
from training_data.turned import turn_faces

if __name__ == "__main__":
    write_made_faces(__doc__, "turned", 5000, turn_faces)
