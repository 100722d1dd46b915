"""Makes the RPMs of the modules and of the layers. Read contents.py, wheels.py, staging.py, package.py in this order."""
