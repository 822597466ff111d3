// Package bench measures Earshot in the laboratory, beside the floor below
// which nothing built on the same libraries can be. It knows what to measure and
// which numbers are aimed for; it does not know how a node does its work, and
// speaks to nodes only as faces do, over the local API.
//
// Everything runs in one process tree on one machine: the hosts of the
// laboratory share its processors and its clock, the wires have no delay and
// unlimited bandwidth. The numbers are good for comparing with the floor and
// with earlier reports from the same machine, not as promises.
package bench
