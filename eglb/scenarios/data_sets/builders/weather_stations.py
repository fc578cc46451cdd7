"""Which station's weather stands for each US grid zone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Station:
    """The station nearest to a reference point of a zone: a cloud region, a city, or the zone's middle.

    Parameters
    ----------
    lat, lon : of the reference point, degrees. path : of the station's file in its repository.
    measured : whether the station was chosen by its distance; otherwise the zone has the only one there is.
    """

    zone: str
    reference: str
    lat: float
    lon: float
    path: str

    @property
    def measured(self) -> bool:
        return self.path.endswith(".zip")


_PACKED, _PLAIN = "Weather Files/{} (TMY3).zip", "data/Weather/USA_AZ_{}.epw"
STATIONS = (
    Station("US-CAL-BANC", "city", 38.58, -121.49, _PACKED.format("Sacramento Exec AP 724830")),
    Station("US-CAL-CISO", "aws-us-west-1", 37.3541, -121.9552, _PACKED.format("San Jose Intl AP 724945")),
    Station("US-CAL-LDWP", "city", 34.05, -118.24, _PACKED.format("Hawthorne-Jack Northrop Field 722956")),
    Station("US-CAL-TIDC", "city", 37.5, -120.85, _PACKED.format("Modesto Muni AP 724926")),
    Station(
        "US-CAR-CPLE", "centroid", 35.205, -78.258, _PACKED.format("Goldsboro-Seymour Johnson AFB 723066")
    ),
    Station("US-CAR-CPLW", "centroid", 35.708, -82.439, _PACKED.format("Asheville Rgnl AP 723150")),
    Station("US-CAR-DUK", "centroid", 35.331, -80.836, _PACKED.format("Charlotte-Douglas Intl AP 723140")),
    Station("US-CAR-SC", "centroid", 33.98, -79.784, _PACKED.format("Florence Rgnl AP 723106")),
    Station(
        "US-CAR-SCEG", "gcp-us-east1", 33.105486, -80.088472, _PACKED.format("Charleston Intl AP 722080")
    ),
    Station("US-CENT-SPA", "centroid", 36.116, -90.557, _PACKED.format("Poplar Bluff AWOS 723300")),
    Station(
        "US-CENT-SWPP",
        "gcp-us-central1",
        41.1755951,
        -95.8028031,
        _PACKED.format("Council Bluffs Muni AP 725497"),
    ),
    Station("US-FLA-FMPP", "centroid", 28.257, -81.276, _PACKED.format("Orlando Intl AP 722050")),
    Station("US-FLA-FPC", "centroid", 28.93, -82.691, _PACKED.format("Ocala Muni AWOS 722055")),
    Station("US-FLA-FPL", "city", 25.8, -80.2, _PACKED.format("Miami Intl AP 722020")),
    Station("US-FLA-GVL", "centroid", 29.649, -82.34, _PACKED.format("Gainesville Rgnl AP 722146")),
    Station("US-FLA-JEA", "city override", 30.33, -81.66, _PACKED.format("Jacksonville NAS 722065")),
    Station("US-FLA-TAL", "centroid", 30.456, -84.235, _PACKED.format("Tallahassee Rgnl AP 722140")),
    Station("US-FLA-TEC", "centroid", 27.933, -82.146, _PACKED.format("Lakeland Linder Rgnl AP 722119")),
    Station("US-HI-OA", "city", 21.31, -157.86, _PACKED.format("Honolulu Intl AP 911820")),
    Station(
        "US-MIDA-PJM",
        "city override",
        39.02,
        -77.46,
        _PACKED.format("Sterling-Washington Dulles Intl AP 724030"),
    ),
    Station("US-MIDW-AECI", "centroid", 37.928, -92.784, _PACKED.format("Kaiser-Lee Fine Mem AWOS 724459")),
    Station("US-MIDW-LGEE", "centroid", 37.602, -86.035, _PACKED.format("Fort Knox-Godman AAF 724240")),
    Station(
        "US-MIDW-MISO", "azure-centralus", 41.4509614, -94.55932617, _PACKED.format("Atlantic Muni AP 725453")
    ),
    Station("US-NE-ISNE", "city", 42.36, -71.06, _PACKED.format("Boston-Logan Intl AP 725090")),
    Station("US-NW-BPAT", "city override", 45.6, -121.2, _PACKED.format("The Dalles Muni AP 726988")),
    Station("US-NW-CHPD", "centroid", 47.918, -120.536, _PACKED.format("Wenatchee-Pangborn Mem AP 727825")),
    Station("US-NW-DOPD", "centroid", 48.112, -119.579, _PACKED.format("Ephrata Muni AP 727826")),
    Station("US-NW-GCPD", "centroid", 47.293, -119.505, _PACKED.format("Ephrata Muni AP 727826")),
    Station(
        "US-NW-GRID", "centroid", 45.556, -119.107, _PACKED.format("Pendleton-Eastern Oregon Rgnl AP 726880")
    ),
    Station("US-NW-IPCO", "centroid", 43.74, -115.947, _PACKED.format("Boise Air Terminal 726810")),
    Station(
        "US-NW-NEVP", "gcp-us-west4", 36.1699, -115.1398, _PACKED.format("Las Vegas-McCarran Intl AP 723860")
    ),
    Station("US-NW-NWMT", "centroid", 46.302, -110.69, _PACKED.format("Bozeman-Gallatin Field 726797")),
    Station("US-NW-PACE", "gcp-us-west3", 40.7608, -111.891, _PACKED.format("Salt Lake City Intl AP 725720")),
    Station("US-NW-PACW", "aws-us-west-2", 45.8399, -119.7006, _PACKED.format("Pasco-Tri Cities AP 727845")),
    Station("US-NW-PGE", "centroid", 45.343, -122.695, _PACKED.format("Aurora State AP 726959")),
    Station("US-NW-PSCO", "city", 39.74, -104.99, _PACKED.format("Golden-NREL 724666")),
    Station("US-NW-PSEI", "centroid", 47.964, -121.723, _PACKED.format("Snohomish County AP 727937")),
    Station("US-NW-SCL", "centroid", 47.619, -122.336, _PACKED.format("Seattle-Boeing Field 727935")),
    Station("US-NW-TPWR", "centroid", 47.127, -121.987, _PACKED.format("Tacoma-McChord AFB 742060")),
    Station("US-NW-WACM", "centroid", 41.47, -103.064, _PACKED.format("Sidney Muni AP 725610")),
    Station("US-NY-NYIS", "city", 40.71, -74.0, _PACKED.format("New York-Central Park 725033")),
    Station("US-SE-SOCO", "city", 33.75, -84.39, _PACKED.format("Fulton County AP 722195")),
    Station("US-SW-AZPS", "azure-westus3", 34.395342, -111.763275, _PLAIN.format("Phoenix-Sky.Harbor")),
    Station("US-SW-EPE", "centroid", 32.23, -106.551, _PACKED.format("Las Cruces Intl AP 722695")),
    Station("US-SW-PNM", "centroid", 34.388, -106.213, _PACKED.format("Albuquerque Intl AP 723650")),
    Station("US-SW-SRP", "city", 33.45, -112.07, _PLAIN.format("Phoenix-Sky.Harbor")),
    Station("US-SW-TEPC", "centroid", 34.348, -113.259, _PLAIN.format("Tucson-Davis-Monthan")),
    Station("US-SW-WALC", "centroid", 33.211, -110.027, _PLAIN.format("Phoenix-Sky.Harbor")),
    Station("US-TEN-TVA", "city", 36.16, -86.78, _PACKED.format("Nashville Intl AP 723270")),
    Station("US-TEX-ERCO", "gcp-us-south1", 32.7767, -96.797, _PACKED.format("Dallas-Love Field 722583")),
)
