// Package disktest gives tests a small disk of their own, which they can fill or stop.
// It does not know what is kept on it.
//
// A disk is mounted by another process than the test's, in namespaces of its own:
// the test runs its own binary again through Run, and that calls Mount; or a thread
// does that has left the others' namespace.
package disktest
