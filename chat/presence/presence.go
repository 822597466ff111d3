// Package presence is the engine that knows which devices are here and what they show
// of themselves, by what connections tell and what neighbours pass on, and that says
// the same of its own device to those who may know. It does not know what a contact
// is or who may see what, which it asks; it knows no network, no disk, no clock and no
// randomness but what it is given, and starts no goroutine (PROTOCOL.md#presence).
package presence

import (
	"crypto/ed25519"
	"io"
	"math/rand/v2"

	"earshot/chat"
)

// KeyPrefix begins every key that Keep names.
const KeyPrefix = "presence/"

// Config is what an engine is made of. Its functions are called from Handle only, and
// must not call the engine.
type Config struct {
	Key    ed25519.PrivateKey // this device's
	Person chat.PersonID      // this person
	// May reports whether a person may see the status that this device shows. It is
	// not asked of this person, who may.
	May func(chat.PersonID) bool
	// Owner returns whose a device is, as far as that is proved; false for nobody's,
	// and for one that has been revoked.
	Owner func(chat.DeviceID) (chat.PersonID, bool)
	// Cares reports whether this person wants to know of another: what is known of
	// the others' devices goes first where room is short.
	Cares   func(chat.PersonID) bool
	Entropy io.Reader         // for keys
	Random  *rand.Rand        // for whom to ask, and when
	Kept    map[string][]byte // what Keep has stored, by key
	// Verify stands in for ed25519.Verify where many engines in one process would
	// check the same signatures; nil otherwise.
	Verify func(ed25519.PublicKey, []byte, []byte) bool
}
