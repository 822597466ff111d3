package chat

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Lobby is the open room that every node is in.
const Lobby = "#lobby"

// RoomTag is what a room is called on the wire for one day: opaque to whoever
// does not know the room, and different tomorrow.
type RoomTag [16]byte

// RoomRef stands for a room in the header of an entry, blinded by the log, so
// that a relay can't tell which logs belong to one room.
type RoomRef [16]byte

// CanonicalRoomName returns the one spelling of an open room's name: NFKC, lower
// case, with its #. Letters, digits, '-', '_' and '.' of any script may stand in
// it, from 1 to MaxRoomName bytes. The # may be missing in s.
func CanonicalRoomName(s string) (string, error) {
	// Lower case of NFKC need not be NFKC.
	name := norm.NFKC.String(strings.ToLower(norm.NFKC.String(strings.TrimPrefix(s, "#"))))
	if name == "" {
		return "", Errorf(CodeUsage, "A room needs a name. Give one such as %s.", Lobby)
	}
	if len(name) > MaxRoomName {
		return "", Errorf(CodeTooLong, "The room name is %d bytes long and may have %d. Choose a shorter one.", len(name), MaxRoomName)
	}
	for i, r := range name {
		letter := unicode.IsLetter(r) || unicode.IsDigit(r) || (i > 0 && unicode.IsMark(r))
		if hidden(r) || joiner(r) {
			letter = false // or two rooms would look alike
		}
		if !letter && (i == 0 || !strings.ContainsRune("-_.", r)) {
			return "", Errorf(CodeUsage, "A room name can't hold %q there. Use letters and digits, and '-', '_' or '.' between them.", r)
		}
	}
	return "#" + name, nil
}

// OpenRoom returns the id of the open room with this canonical name: whoever
// knows the name is in the same room, and can read it.
func OpenRoom(name string) RoomID {
	return sha256.Sum256([]byte("earshot/v1 open-room\x00" + name))
}

// DirectRoom returns the id of the direct chat of two people, in whatever order they
// are given. chatID is known to the two only, and so is the room.
func DirectRoom(a, b PersonID, chatID [32]byte) RoomID {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	h := sha256.New()
	h.Write([]byte("earshot/v1 direct-chat\x00"))
	h.Write(a[:])
	h.Write(b[:])
	h.Write(chatID[:])
	return RoomID(h.Sum(nil))
}

// Tag returns the room's tag for the UTC day that holds t.
func (r RoomID) Tag(t time.Time) RoomTag {
	day := binary.BigEndian.AppendUint64(nil, uint64(t.Unix()/86400))
	return RoomTag(r.mac("earshot/v1 room-tag\x00", day))
}

// SessionTag returns the room's tag in one conversation between two nodes, which
// the nonce stands for: who does not know the room learns nothing from it.
func (r RoomID) SessionTag(nonce []byte) RoomTag {
	return RoomTag(r.mac("earshot/v1 session-tag\x00", nonce))
}

// Ref returns the blinded name under which the entries of a log point to r.
func (r RoomID) Ref(log LogID) RoomRef {
	return RoomRef(r.mac("earshot/v1 room-ref\x00", log[:]))
}

func (r RoomID) mac(domain string, b []byte) []byte {
	h := hmac.New(sha256.New, r[:])
	h.Write([]byte(domain))
	h.Write(b)
	return h.Sum(nil)[:16]
}
