"""The makers of GB10 computers as their DMI tables and /etc/dgx-release name them.

The one rule: strings are those of public captures; what none of them shows says so, and whoever reads a node must
accept any string. Source: captures of /sys/class/dmi/id and /etc/dgx-release collected for this project, 2025 to 2026.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vendor:
    """DMI strings, and DGX_PLATFORM of /etc/dgx-release."""

    sys_vendor: str
    product_name: str
    product_version: str
    board_name: str
    bios_vendor: str
    bios_version: str
    platform: str
    product_family: str = "DGX Spark"


VENDORS = {
    # board name: unverified on hardware [board-name]
    "nvidia": Vendor("NVIDIA", "NVIDIA_DGX_Spark", "A.7", "P4242", "AMI", "5.36_0ACUM018", "DGX Server for KVM"),
    # the end of the BIOS version: made up for the simulator
    "asus": Vendor("ASUSTeK COMPUTER INC.", "GX10", "5.36_GX10DGX", "GX10", "American Megatrends International, LLC.",
                   "GX10DGX.0105.2026.0401.1200", "GX10"),
    # product name from DGX_PLATFORM: unverified on hardware [product-name]; version and board are made up
    "dell": Vendor("Dell Inc.", "Dell Pro Max with GB10 FCM1253", "A.7", "P4242", "Dell Inc.", "5.36_4.0.0",
                   "Dell Pro Max with GB10 FCM1253"),
    # BIOS: unverified on hardware [bios-version]; version and board: made up for the simulator
    "hp": Vendor("HP", "HP ZGX Nano G1n AI Station", "A.7", "8EA3", "AMI", "5.36_0ACUM018",
                 "HP ZGX Nano G1n AI Station"),
    # BIOS: unverified on hardware [bios-version]; board and platform: made up for the simulator
    "lenovo": Vendor("LENOVO", "30KL0004FC", "ThinkStation PGX", "30KL", "LENOVO", "5.36_0ACUM018",
                     "ThinkStation PGX"),
    # names from product pages: unverified on hardware [vendor-names, product-name]; the rest: made up for the simulator
    "gigabyte": Vendor("GIGABYTE", "AI TOP ATOM", "A.7", "AI TOP ATOM", "AMI", "5.36_0ACUM018", "AI TOP ATOM"),
    "msi": Vendor("MSI", "EdgeXpert", "A.7", "EdgeXpert", "AMI", "5.36_0ACUM018", "EdgeXpert"),
    "acer": Vendor("Acer", "Veriton GN100", "A.7", "Veriton GN100", "AMI", "5.36_0ACUM018", "Veriton GN100"),
}  # fmt: skip
