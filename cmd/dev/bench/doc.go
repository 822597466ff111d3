// Package bench measures Earshot in the laboratory, beside the floor below
// which nothing built on the same libraries can be. It knows what to measure and
// which numbers are aimed for; it does not know how a node does its work, and
// speaks to nodes only as faces do, over the local API.
//
// Everything runs in one process tree on one machine: the hosts of the
// laboratory share its processors and its clock, the wires have no delay and
// unlimited bandwidth. The numbers are good for comparing with the floor and
// with earlier reports from the same machine, not as promises.
//
// # Where the time goes
//
// Measured in November 2026 on two CPUs that had other work too, so the shares are worth
// more than the numbers. A message of 200 B in a private room of two nodes, at 20 a
// second, needed from the author's socket to the reader's, in ms (p50):
//
//	0.09  the request: HTTP, JSON, to the loop
//	0.18  sealed, signed, and its key's next state
//	0.34  stored: the writer wakes, ten pages are encrypted and written to the log
//	0.06  encoded and queued for the stream
//	0.47  yamux, Noise, TCP, and the same upwards; a bare stream needs half of it
//	0.09  its signature checked
//	0.13  taken by the room, opened
//	0.32  stored by the reader
//	0.07  the event: JSON, HTTP
//	0.5   both faces
//
// At that rate everything is woken for each message: a delivery takes 0.7 ms of CPU
// where the same delivery takes 0.2 under load. A fifth of it is the kernel switching
// threads, and half of that Go's monitor of its own threads. So of ten nodes that share
// two CPUs the fifth reader has the message after 3 ms, whatever the path does.
//
// When all ten speak, a delivery takes, in us of CPU:
//
//	47  its signature checked
//	49  stored: 20 in statements, 15 in encrypting and writing pages, 8 for search and
//	    for folding the log into the file
//	34  the engines of rooms and keys, and the tenth part of sealing
//	18  yamux, Noise, and writes and reads of sockets
//	15  the local API: the event, and the tenth part of a request
//	14  collecting garbage
//	12  catch-up, for what is late where ten nodes wait for two CPUs
//	17  waking and finding goroutines, decoding, and the rest
//
// What was tried and not kept: more garbage before it is collected (GOGC 200 and 400:
// 2 to 5 percent less CPU, 3 to 15 MB more memory), and letting the writer run before
// the loop looks at its timers (nothing). One Go processor for each node instead of two
// takes 12 percent off, and would take catch-up's parallel checks away.
package bench
