"""Roads from files: GeoParquet, CSV, GeoJSON and whatever GDAL reads, each as a layer of rows."""
