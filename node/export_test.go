package node

import "testing"

// RefuseNext has the store refuse what the private engine wants stored next, and
// what is queued behind it, as a full disk does.
func (n *Node) RefuseNext(t *testing.T, why error) { refuseNext(t, n, why) }
