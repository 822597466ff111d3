package chat

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"unicode"
)

// PersonID names a person: the first 20 bytes of the domain-separated SHA-256 of
// their Ed25519 root key (see chat/identity). A person may have several devices.
type PersonID [20]byte

// DeviceID names a device. It is the device's Ed25519 public key itself, so a
// signature can be checked with nothing else at hand.
type DeviceID [32]byte

// RoomID names a conversation: the hash of what founded it.
type RoomID [32]byte

// EntryID names one signed entry: the hash of its exact header bytes.
type EntryID [32]byte

// LogID names one append-only log of a device in a room. It is made of the device
// and a random salt (NewLogID): neither the room nor the device can be told from
// it, and nobody else can open a log of that name.
type LogID [16]byte

// NewLogID returns the name of the log that device opens with this salt, which is
// 16 random bytes and stands in the log's first entry.
func NewLogID(device DeviceID, salt []byte) LogID {
	h := sha256.New()
	h.Write([]byte("earshot/v1 log\x00"))
	h.Write(device[:])
	h.Write(salt)
	return LogID(h.Sum(nil)[:len(LogID{})])
}

// Branch returns the name of one of the ways in which a log goes on where it goes on
// in several, made of the way's first entry: a log of its own (PROTOCOL.md#logs).
func (l LogID) Branch(first EntryID) LogID {
	h := sha256.New()
	h.Write([]byte("earshot/v1 branch\x00"))
	h.Write(l[:])
	h.Write(first[:])
	return LogID(h.Sum(nil)[:len(LogID{})])
}

// String returns the form a person can read over the phone: base32 without
// padding, one check digit behind every 8 characters, in 6 chunks of 6.
func (p PersonID) String() string { return format(p[:], 8, 6) }

// Short returns the first chunk, for logs and tight columns; it is not unique.
func (p PersonID) Short() string { return p.String()[:6] }

// String returns base32 without padding, one check digit behind every 13
// characters, in 8 chunks of 7.
func (d DeviceID) String() string { return format(d[:], 13, 7) }

// Short returns the first chunk, for logs and tight columns; it is not unique.
func (d DeviceID) Short() string { return d.String()[:7] }

// String returns 52 lower-case base32 characters.
func (r RoomID) String() string { return lower(r[:]) }

// Short returns the first 8 characters, for logs; it is not unique.
func (r RoomID) Short() string { return r.String()[:8] }

// String returns 52 lower-case base32 characters.
func (e EntryID) String() string { return lower(e[:]) }

// Short returns the first 8 characters, for logs; it is not unique.
func (e EntryID) Short() string { return e.String()[:8] }

// String returns 26 lower-case base32 characters.
func (l LogID) String() string { return lower(l[:]) }

// Short returns the first 8 characters, for logs; it is not unique.
func (l LogID) Short() string { return l.String()[:8] }

// IsZero reports whether p names nobody.
func (p PersonID) IsZero() bool { return p == PersonID{} }

// IsZero reports whether d names no device.
func (d DeviceID) IsZero() bool { return d == DeviceID{} }

// IsZero reports whether e names no entry.
func (e EntryID) IsZero() bool { return e == EntryID{} }

// ParsePersonID reads what PersonID.String wrote, or what a person made of it:
// case, dashes and spaces do not matter, and 0, 1 and 8 are read as O, I and B.
// The error says which part to read again.
func ParsePersonID(s string) (PersonID, error) {
	var p PersonID
	return p, parse(s, p[:], 8, "person")
}

// ParseDeviceID reads what DeviceID.String wrote, as forgiving as ParsePersonID.
func ParseDeviceID(s string) (DeviceID, error) {
	var d DeviceID
	return d, parse(s, d[:], 13, "device")
}

// ParseEntryID reads what EntryID.String wrote.
func ParseEntryID(s string) (EntryID, error) {
	var e EntryID
	return e, parseLower(s, e[:], "message")
}

// ParseRoomID reads what RoomID.String wrote.
func ParseRoomID(s string) (RoomID, error) {
	var r RoomID
	return r, parseLower(s, r[:], "room")
}

// MarshalText and UnmarshalText let ids stand as strings in JSON and flags.

func (p PersonID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
func (d DeviceID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
func (r RoomID) MarshalText() ([]byte, error)   { return []byte(r.String()), nil }
func (e EntryID) MarshalText() ([]byte, error)  { return []byte(e.String()), nil }
func (l LogID) MarshalText() ([]byte, error)    { return []byte(l.String()), nil }

func (p *PersonID) UnmarshalText(b []byte) (err error) { *p, err = ParsePersonID(string(b)); return }

func (d *DeviceID) UnmarshalText(b []byte) (err error) { *d, err = ParseDeviceID(string(b)); return }

func (r *RoomID) UnmarshalText(b []byte) error { return parseLower(string(b), r[:], "room") }

func (e *EntryID) UnmarshalText(b []byte) error { return parseLower(string(b), e[:], "message") }
func (l *LogID) UnmarshalText(b []byte) error   { return parseLower(string(b), l[:], "log") }

var b32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// b32Lower writes what b32 does in lower case.
var b32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func lower(b []byte) string { return b32Lower.EncodeToString(b) }

// parseLower fills dst, whose length it demands, from what lower wrote.
func parseLower(s string, dst []byte, what string) error {
	b, err := b32.DecodeString(strings.ToUpper(s))
	if err != nil || len(b) != len(dst) || lower(b) != strings.ToLower(s) {
		return Errorf(CodeBadID, "%.60q is not a %s id. Copy it whole: it has %d letters and digits.", s, what, b32.EncodedLen(len(dst)))
	}
	copy(dst, b)
	return nil
}

// format writes b as base32 with a check digit behind every block characters,
// then cuts the whole into chunks.
func format(b []byte, block, chunk int) string {
	raw := b32.EncodeToString(b)
	var sb strings.Builder
	sb.Grow(2 * len(raw))
	n := 0
	put := func(c byte) {
		if n > 0 && n%chunk == 0 {
			sb.WriteByte('-')
		}
		sb.WriteByte(c)
		n++
	}
	for i := 0; i < len(raw); i += block {
		for _, c := range []byte(raw[i : i+block]) {
			put(c)
		}
		put(checkDigit(raw[i : i+block]))
	}
	return sb.String()
}

// parse is the forgiving inverse of format.
func parse(s string, dst []byte, block int, what string) error {
	size := b32.EncodedLen(len(dst))
	want := size + size/block
	if len(s) > 4*want {
		return Errorf(CodeBadID, "That is too long for a %s id. Copy just the id: it has %d letters and digits.", what, want)
	}
	folded := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		case r == '-' || r == ' ':
			return -1
		}
		return r
	}, s)
	for _, r := range folded {
		if r > unicode.MaxASCII || digit(byte(r)) < 0 {
			return Errorf(CodeBadID, "A %s id has no %q in it. Compare it with the original.", what, r)
		}
	}
	if len(folded) != want {
		return Errorf(CodeBadID, "A %s id has %d letters and digits, this one has %d. Copy it whole.", what, want, len(folded))
	}
	raw := make([]byte, 0, size)
	for i := 0; i < want; i += block + 1 {
		part := folded[i : i+block]
		if checkDigit(part) != folded[i+block] {
			return Errorf(CodeBadID, "The %s id is misread between its letters %d and %d (%s...). Compare them with the original.",
				what, i+1, i+block+1, part[:4])
		}
		raw = append(raw, part...)
	}
	b, err := b32.DecodeString(string(raw))
	if err != nil || b32.EncodeToString(b) != string(raw) {
		return Errorf(CodeBadID, "That is not a %s id. Compare it with the original.", what)
	}
	copy(dst, b)
	return nil
}

// checkDigit is Luhn's algorithm over 32 symbols: it catches every single wrong
// character and almost every swap of neighbours.
func checkDigit(s string) byte {
	const n = 32
	factor, sum := 2, 0
	for i := len(s) - 1; i >= 0; i-- {
		v := digit(s[i]) * factor
		sum += v/n + v%n
		factor = 3 - factor
	}
	return symbol((n - sum%n) % n)
}

func digit(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= '2' && c <= '7':
		return int(c-'2') + 26
	}
	return -1
}

func symbol(v int) byte {
	if v < 26 {
		return byte('A' + v)
	}
	return byte('2' + v - 26)
}
