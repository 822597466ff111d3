package membership

// bits is a set of positions in Log.nodes.
type bits []uint64

func (b bits) has(i int) bool { return i>>6 < len(b) && b[i>>6]>>(i&63)&1 == 1 }

// with returns b with i in it; it may reuse b.
func (b bits) with(i int) bits {
	for i>>6 >= len(b) {
		b = append(b, 0)
	}
	b[i>>6] |= 1 << (i & 63)
	return b
}

// or returns the union of b and c; it may reuse b.
func (b bits) or(c bits) bits {
	for len(b) < len(c) {
		b = append(b, 0)
	}
	for i, w := range c {
		b[i] |= w
	}
	return b
}
