"""Makes the RPMs of modules and layers. Read contents.py, wheels.py, staging.py, package.py in this order."""
