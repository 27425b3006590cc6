"""The pages of `nvidia-smi` that people read: the default table and `-q -d PERFORMANCE`.

The one rule: column for column as captured on a GB10 (driver 580.159.03), only the figures and the version move.
"""

from __future__ import annotations

import time
from typing import Any

_RULE = "+-----------------------------------------------------------------------------------------+\n"
_HEAD = """\
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |
"""
_APPS_HEAD = """\

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
"""


def table_page(now: dict[str, Any], driver: str, cuda: str) -> str:
    """The default page."""
    usage = f"| N/A {now['temperature_c']:>4}C    {now['pstate']}    {round(now['power_w']):>11}W /  N/A  |"
    usage += f" Not Supported          |    {now['util_pct']:>3}%      Default |\n"
    head = f"| NVIDIA-SMI {driver:<22} Driver Version: {driver:<14} CUDA Version: {cuda:<8} |\n"
    last = "|                                         |                        |                  N/A |\n"
    close = "+-----------------------------------------+------------------------+----------------------+\n"
    stamp = time.strftime("%a %b %e %H:%M:%S %Y") + "       \n"
    rows = "".join(
        f"|    0   N/A  N/A {app['pid']:>15}      C   {app['name'][:38]:<38}{app['memory_mib']:>5}MiB |\n"
        for app in now["apps"]
    )
    return stamp + _RULE + head + _HEAD + usage + last + close + _APPS_HEAD + (rows or _no_apps()) + _RULE


def _no_apps() -> str:
    return "|  No running processes found                                                             |\n"


def performance_page(now: dict[str, Any], driver: str, cuda: str) -> str:
    """`-q -d PERFORMANCE`."""
    return f"{_log_head(driver, cuda)}\n{_performance(now)}\n"


def full_page(now: dict[str, Any], driver: str, cuda: str) -> str:
    """`-q`: the parts that a GB10 has something to say in; their order is made up for the simulator."""
    head = _log_head(driver, cuda)
    return f"""{head}
    Product Name                          : NVIDIA GB10
    Product Brand                         : NVIDIA RTX
    Product Architecture                  : Blackwell
    Display Active                        : Disabled
    Persistence Mode                      : Enabled
    Addressing Mode                       : ATS
    Serial Number                         : N/A
    GPU UUID                              : {now["uuid"]}
    VBIOS Version                         : N/A
    GSP Firmware Version                  : {driver}
    PCI
        Domain                            : 0x000F
        Device Id                         : 0x2E1210DE
        Bus Id                            : 0000000F:01:00.0
    Fan Speed                             : N/A
{_performance(now)}
    FB Memory Usage
        Total                             : N/A
        Reserved                          : N/A
        Used                              : N/A
        Free                              : N/A
    Compute Mode                          : Default
    Utilization
        GPU                               : {now["util_pct"]} %
        Memory                            : 0 %
    Temperature
        GPU Current Temp                  : {now["temperature_c"]} C
    GPU Power Readings
        Average Power Draw                : {now["power_w"]:.2f} W
        Instantaneous Power Draw          : {now["power_w"]:.2f} W
        Current Power Limit               : N/A
    Clocks
        Graphics                          : {now["sm_mhz"]} MHz
        SM                                : {now["sm_mhz"]} MHz
        Memory                            : N/A
    Max Clocks
        Graphics                          : 3003 MHz
        SM                                : 3003 MHz
        Memory                            : N/A

"""


def _log_head(driver: str, cuda: str) -> str:
    return f"""
==============NVSMI LOG==============

Timestamp                                 : {time.strftime("%a %b %e %H:%M:%S %Y")}
Driver Version                            : {driver}
CUDA Version                              : {cuda}

Attached GPUs                             : 1
GPU 0000000F:01:00.0"""


def _performance(now: dict[str, Any]) -> str:
    idle = "Active" if now["pstate"] == "P8" else "Not Active"
    return f"""    Performance State                     : {now["pstate"]}
    Clocks Event Reasons
        Idle                              : {idle}
        Applications Clocks Setting       : Not Active
        SW Power Cap                      : Not Active
        HW Slowdown                       : Not Active
            HW Thermal Slowdown           : Not Active
            HW Power Brake Slowdown       : Not Active
        Sync Boost                        : Not Active
        SW Thermal Slowdown               : Not Active
        Display Clock Setting             : Not Active
    Clocks Event Reasons Counters
        SW Power Capping                  : {now["power_capped_us"]} us
        Sync Boost                        : 0 us
        SW Thermal Slowdown               : 0 us
        HW Thermal Slowdown               : 0 us
        HW Power Brake Slowdown           : 0 us"""
