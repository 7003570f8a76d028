// SPDX-License-Identifier: Apache-2.0

/// \file
/// libpcap as an archive asks for libdbus and libsystemd, only to capture on D-Bus, which nobody
/// here does. Its member with these two functions (pcap-dbus.c) is not linked when they exist
/// already: as that file would be on a machine without D-Bus, "not my device", and no devices.
/// Where libpcap is a shared library, it uses its own.

extern "C" {
struct pcap;
struct pcap_if_list;

pcap* dbus_create(const char* device, char* error, int* is_ours);
int dbus_findalldevs(pcap_if_list* devices, char* error);

pcap* dbus_create(const char* /*device*/, char* /*error*/, int* is_ours) {
  *is_ours = 0;
  return nullptr;
}

int dbus_findalldevs(pcap_if_list* /*devices*/, char* /*error*/) { return 0; }
}
