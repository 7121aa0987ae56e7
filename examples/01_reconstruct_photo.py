"""A photo becomes a head: measure it, then write the files.

Run: python examples/01_reconstruct_photo.py [OUTPUT_FOLDER] [PHOTO]
"""

import os
import sys
from pathlib import Path

# Before numpy and torch are imported: their threads spin while they wait, to the cost of all else that runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import facewright
from facewright.pipeline.portraits import demo_portraits

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
photo = Path(sys.argv[2]) if len(sys.argv) > 2 else demo_portraits()["astronaut"]

head = facewright.reconstruct(photo)

points = head.landmarks_head  # 478 points on the head, mm
width_of_eyes = (points[33] - points[263]).norm()
width_of_mouth = (points[61] - points[291]).norm()
print(f"{photo.name}: {float(width_of_eyes):.1f} mm between the outer eye corners,")
print(f"{float(width_of_mouth):.1f} mm between the mouth corners with this expression.")

head.save(out / photo.stem)
print(f"Look at {out / photo.stem / 'overview.png'}")
