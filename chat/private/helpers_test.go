package private

import (
	"crypto/ed25519"

	"earshot/chat"
	"earshot/chat/membership"
)

func encoded(t failure, parents []chat.EntryID, b membership.Body) []byte {
	t.Helper()
	payload, err := membership.Encode(parents, b)
	must(t, err)
	return payload
}

func edSign(name string, b []byte) []byte { return ed25519.Sign(keyOf(name), b) }
