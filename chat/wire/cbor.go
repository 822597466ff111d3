package wire

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"earshot/chat"
)

const (
	// maxDepth bounds nesting; the deepest message (Entries) uses 3.
	maxDepth = 6
	// maxArray and maxPairs bound what a decoder allocates before it has read the
	// elements: a list of 80-byte structs takes 320 KiB at the most. The longest
	// list is MaxLogs.
	maxArray = 4096
	maxPairs = 64
)

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, MaxNestedLevels: maxDepth, MaxArrayElements: maxArray, MaxMapPairs: maxPairs,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Marshal returns the deterministic encoding of v (RFC 8949, section 4.2.1). It
// panics on a type that has none, which is a defect and never a stranger's doing.
func Marshal(v any) []byte { return must(encMode.Marshal(v)) }

// Unmarshal reads the deterministic encoding of one value and nothing else: what
// another encoder could write differently is refused, so that equal meaning is
// equal bytes. Map keys that v does not know are skipped: they are the future's.
// The caller has bounded the length of b.
func Unmarshal(b []byte, v any) error {
	rest, err := canonical(b, 0)
	if err != nil {
		return invalid("%v", err)
	}
	if len(rest) != 0 {
		return invalid("%d bytes behind the end", len(rest))
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return invalid("%v", err)
	}
	return nil
}

// invalid makes the error for bytes that break PROTOCOL.md. It reaches a log, and
// a person only as a count.
func invalid(format string, args ...any) error {
	return chat.Wrap(chat.CodeInvalid, fmt.Errorf(format, args...),
		"A device sent something that breaks the protocol: "+fmt.Sprintf(format, args...)+".",
		"Nothing is lost; if it goes on, update Earshot on that device.")
}

const null = 0xf6

// The errors of canonical say what to look for in a hex dump.
var (
	errShort     = errors.New("it ends too early")
	errLong      = errors.New("an integer or length is not in its shortest form")
	errKind      = errors.New("a tag, a float, or an item without end")
	errDeep      = errors.New("it is nested too deep")
	errKeyOrder  = errors.New("map keys are not in ascending order")
	errBadLength = errors.New("a length reaches past the end")
	errNull      = errors.New("a null where a value belongs")
)

// canonical (PROTOCOL.md#encoding) checks that b starts with one deterministically encoded item and
// returns what follows. fxamacker/cbor accepts longer integers than needed and
// unsorted keys, and re-encoding would drop unknown keys: hence this walk.
//
// A null may stand in an array only, as a removed payload does: a field that has
// no value is left out of its map.
func canonical(b []byte, depth int) (rest []byte, err error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	if len(b) == 0 {
		return nil, errShort
	}
	major, info := b[0]>>5, b[0]&31
	b = b[1:]
	if major == 7 { // false, true, null; floats and other simple values have no use here
		if info < 20 || info > 22 {
			return nil, errKind
		}
		return b, nil
	}
	if major == 6 || info > 27 {
		return nil, errKind
	}
	n := uint64(info)
	if info >= 24 {
		size := 1 << (info - 24)
		if len(b) < size {
			return nil, errShort
		}
		n = 0
		for _, c := range b[:size] {
			n = n<<8 | uint64(c)
		}
		least := [4]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]
		if n < least {
			return nil, errLong
		}
		b = b[size:]
	}
	switch major {
	case 0, 1:
		return b, nil
	case 2, 3:
		if n > uint64(len(b)) {
			return nil, errBadLength
		}
		return b[n:], nil
	case 4:
		if n > uint64(len(b)) { // every element takes a byte at least
			return nil, errBadLength
		}
		for range n {
			if b, err = canonical(b, depth+1); err != nil {
				return nil, err
			}
		}
		return b, nil
	default: // 5, a map
		if n > uint64(len(b))/2 {
			return nil, errBadLength
		}
		var last []byte
		for range n {
			after, err := canonical(b, depth+1)
			if err != nil {
				return nil, err
			}
			key := b[:len(b)-len(after)]
			if last != nil && bytes.Compare(last, key) >= 0 {
				return nil, errKeyOrder
			}
			last = key
			if len(after) > 0 && after[0] == null {
				return nil, errNull // the key would be left out instead
			}
			if b, err = canonical(after, depth+1); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
}
