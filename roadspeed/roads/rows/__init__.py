"""What rows of roads hold, wherever they come from: ids, geometry in any coding, coordinates.

Pure, and shared by the readers of files and of PostGIS, which know nothing of each other.
"""
