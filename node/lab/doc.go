// Package lab is a laboratory for real programs: it makes small networks of
// its own inside one Linux machine, runs processes on their hosts, and breaks
// the wires. It does not know what Earshot is, what its messages mean, or what
// any program prints: tests and measurements tell it what to run and what to
// wait for.
//
// # What a laboratory is made of
//
// A [LAN] is one Ethernet segment, made of a bridge without spanning tree or
// multicast snooping: an unmanaged switch. A [Host] has a network namespace, a
// host name and a home directory of its own, and any number of network
// adapters ([NIC]), each a veth pair whose far end, the port, is plugged into
// a LAN or leads nowhere. A [Process] is a real program running on a host.
//
// Nothing touches the machine's own network: every interface is born in a
// namespace of the laboratory, and [Host.Start] refuses to start a program in
// the namespace that the calling process came from.
//
// # Why namespaces without names
//
// Each namespace is held by one operating-system thread of the calling
// process, which entered it and never leaves, and by one file descriptor.
// Nothing is mounted below /run/netns, so nothing has to be cleaned up there:
// when the process ends, however it ends (a panic, a time limit, SIGKILL), the
// kernel kills the programs it started, closes the descriptors and takes the
// namespaces and all their interfaces away. The same design needs no right to
// mount and therefore works unchanged for root and inside an unprivileged user
// namespace (see [Main]). What a dead run can leave behind is one temporary
// directory, which the next run removes.
//
// # Goroutines
//
//	name       number            owner      ends when
//	namespace  one a host, one   Lab        Lab.Close, which waits for it
//	           for the bridges
//	wait       one a process     Process    the process has ended
//	capture    one a Capture     Capture    Capture.Close, which waits for it
//
// The package needs the commands ip and tc of iproute2, and Linux; elsewhere it
// is empty.
package lab
