package receipt

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"slices"

	"earshot/chat"
	"earshot/chat/wire"
)

// Kind says what a statement is about and whom it may be given to. The numbers are
// append-only.
type Kind uint8

const (
	// Held is how far a device has stored a room's logs; any member passes it on.
	Held Kind = 1
	// HeldKept is the same, given by the person's own devices only, for rooms where
	// somebody is not to learn even that.
	HeldKept Kind = 2
	// Read is how far a person has read; any member passes it on.
	Read Kind = 3
	// ReadKept is the same, given by the person's own devices only, to whom they
	// allow it.
	ReadKept Kind = 4
	// ReadOwn is the same for nobody but the person's own devices.
	ReadOwn Kind = 5
)

var kinds = []Kind{Held, HeldKept, Read, ReadKept, ReadOwn}

// Known reports whether this version knows the kind.
func (k Kind) Known() bool { return k >= Held && k <= ReadOwn }

// Reads reports whether the kind tells of reading, which implies holding.
func (k Kind) Reads() bool { return k == Read || k == ReadKept || k == ReadOwn }

// PassedOn reports whether any member of the room may give it to any other.
func (k Kind) PassedOn() bool { return k == Held || k == Read }

// LogPrefix stands for a log in marks: the beginning of its id.
type LogPrefix [wire.ReceiptPrefix]byte

// PrefixOf returns what stands for a log.
func PrefixOf(log chat.LogID) LogPrefix { return LogPrefix(log[:wire.ReceiptPrefix]) }

// Mark says that a log is held, or was read, up to an entry and without a hole.
type Mark struct {
	Log LogPrefix
	Seq uint64
}

// Statement is how far one device says that it holds or has read a room. Of those of
// one device and kind the one with the highest version counts, and stands for all
// earlier ones.
type Statement struct {
	Device  chat.DeviceID
	Kind    Kind
	Version uint64
	Marks   []byte // as EncodeMarks makes them
	Sig     [ed25519.SignatureSize]byte
}

const domain = "earshot/v1 receipt\x00"

func signedBytes(room chat.RoomID, k Kind, version uint64, marks []byte) []byte {
	b := make([]byte, 0, len(domain)+len(room)+1+8+len(marks))
	b = append(b, domain...)
	b = append(b, room[:]...)
	b = append(b, byte(k))
	b = binary.BigEndian.AppendUint64(b, version)
	return append(b, marks...)
}

// Sign makes a statement of the device that holds key.
func Sign(key ed25519.PrivateKey, room chat.RoomID, k Kind, version uint64, marks []byte) Statement {
	s := Statement{Kind: k, Version: version, Marks: marks}
	copy(s.Device[:], key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	copy(s.Sig[:], ed25519.Sign(key, signedBytes(room, k, version, marks)))
	return s
}

// Verify reports, with chat.CodeInvalid, if the device did not sign the statement for
// that room.
func (s *Statement) Verify(room chat.RoomID) error {
	if !ed25519.Verify(s.Device[:], signedBytes(room, s.Kind, s.Version, s.Marks), s.Sig[:]) {
		return chat.Errorf(chat.CodeInvalid, "A device passed on a receipt that its author did not sign. It was refused; nothing needs to be done.")
	}
	return nil
}

// compare orders the statements of one device and kind: the greatest counts. Two of
// one version, which only a device whose keys were copied makes, differ in their
// marks, so that all come to keep the same one.
func (s *Statement) compare(t *Statement) int {
	return cmp.Or(cmp.Compare(s.Version, t.Version), bytes.Compare(s.Marks, t.Marks))
}

// EncodeMarks returns marks as they are signed: each log's prefix and its number in
// the shortest form of unsigned LEB128, ascending by log. It sorts marks; no log may
// stand in them twice.
func EncodeMarks(marks []Mark) []byte {
	slices.SortFunc(marks, func(a, b Mark) int { return bytes.Compare(a.Log[:], b.Log[:]) })
	out := make([]byte, 0, len(marks)*(wire.ReceiptPrefix+2))
	for _, m := range marks {
		out = append(out, m.Log[:]...)
		out = binary.AppendUvarint(out, m.Seq)
	}
	return out
}

// DecodeMarks reads what EncodeMarks wrote, and nothing else; the error is of
// chat.CodeInvalid.
func DecodeMarks(b []byte) ([]Mark, error) {
	if len(b) > wire.MaxMarkBytes {
		return nil, errMarks()
	}
	marks := make([]Mark, 0, len(b)/(wire.ReceiptPrefix+1))
	for len(b) > 0 {
		if len(b) <= wire.ReceiptPrefix || len(marks) == chat.MaxReceiptMarks {
			return nil, errMarks()
		}
		m := Mark{Log: LogPrefix(b)}
		seq, n := binary.Uvarint(b[wire.ReceiptPrefix:])
		shortest := n > 0 && (n == 1 || b[wire.ReceiptPrefix+n-1] != 0)
		if !shortest || seq == 0 || seq > wire.MaxSeq {
			return nil, errMarks()
		}
		if k := len(marks); k > 0 && bytes.Compare(marks[k-1].Log[:], m.Log[:]) >= 0 {
			return nil, errMarks()
		}
		m.Seq = seq
		marks, b = append(marks, m), b[wire.ReceiptPrefix+n:]
	}
	return marks, nil
}

func errMarks() error {
	return chat.Errorf(chat.CodeInvalid, "A device told in a way that can't be read how far it holds a conversation. It was refused; nothing needs to be done.")
}

// find returns the number of a log in marks, 0 if it is not there.
func find(marks []Mark, log LogPrefix) uint64 {
	if i, ok := slices.BinarySearchFunc(marks, log, func(m Mark, log LogPrefix) int { return bytes.Compare(m.Log[:], log[:]) }); ok {
		return marks[i].Seq
	}
	return 0
}
