"""Run by the test with the layer on its path: every part of the layer does something that a weather service does."""

# mypy: ignore-errors

import json
import sys
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
found = {}


def grib2() -> float:
    import cfgrib
    import eccodes

    handle = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
    eccodes.codes_set(handle, "shortName", "t")
    count = eccodes.codes_get(handle, "numberOfValues")
    eccodes.codes_set_values(handle, np.full(count, 281.5))
    with (folder / "t.grib2").open("wb") as file:
        eccodes.codes_write(handle, file)
    eccodes.codes_release(handle)
    return float(cfgrib.open_dataset(folder / "t.grib2", backend_kwargs={"indexpath": ""})["t"].mean())


def grib2_by_earthkit() -> float:
    import earthkit.data

    return float(earthkit.data.from_source("file", str(folder / "t.grib2")).to_fieldlist()[0].to_numpy().mean())


def bufr() -> int:
    import eccodes
    import pdbufr

    handle = eccodes.codes_bufr_new_from_samples("BUFR4")
    eccodes.codes_set_array(handle, "unexpandedDescriptors", [301001, 12101])
    eccodes.codes_set(handle, "blockNumber", 7)
    eccodes.codes_set(handle, "stationNumber", 149)
    eccodes.codes_set(handle, "airTemperature", 281.5)
    eccodes.codes_set(handle, "pack", 1)
    with (folder / "t.bufr").open("wb") as file:
        eccodes.codes_write(handle, file)
    eccodes.codes_release(handle)
    table = pdbufr.read_bufr(str(folder / "t.bufr"), columns=("stationNumber", "airTemperature"))
    return int(table["stationNumber"][0])


def netcdf() -> float:
    import xarray

    for engine in ("netcdf4", "h5netcdf"):
        data = xarray.Dataset({"t": (("y", "x"), np.full((4, 5), 281.5))})
        data.to_netcdf(folder / f"{engine}.nc", engine=engine)
        opened = xarray.open_dataset(folder / f"{engine}.nc", engine=engine, chunks={})
        assert float(opened["t"].mean().compute()) == 281.5
    return 281.5


def raster() -> float:
    import rasterio
    from rasterio.transform import from_origin

    profile = {"driver": "GTiff", "height": 4, "width": 5, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(folder / "t.tif", "w", transform=from_origin(0, 50, 1, 1), **profile) as file:
        file.write(np.full((4, 5), 281.5, "float32"), 1)
    with rasterio.open(folder / "t.tif") as file:
        return float(file.read(1).mean())


def places() -> float:
    import pyproj
    import shapely

    x, _ = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(1.37, 43.58)
    return float(shapely.Point(x, 0).buffer(10).bounds[0])


def meteorology() -> float:
    import scipy.ndimage
    from metpy.calc import dewpoint_from_relative_humidity
    from metpy.units import units

    scipy.ndimage.gaussian_filter(np.zeros((4, 4)), 1)
    return float(dewpoint_from_relative_humidity(20 * units.degC, 50 * units.percent).magnitude)


def picture() -> int:
    import matplotlib as mpl

    mpl.use("Agg")
    import cartopy.crs
    from matplotlib import pyplot

    axes = pyplot.axes(projection=cartopy.crs.LambertConformal(central_longitude=2))
    axes.set_extent([-5, 10, 41, 52])
    axes.gridlines()
    pyplot.savefig(folder / "map.png")
    return (folder / "map.png").stat().st_size


for do in (grib2, grib2_by_earthkit, bufr, netcdf, raster, places, meteorology, picture):
    found[do.__name__] = do()
print(json.dumps(found))
