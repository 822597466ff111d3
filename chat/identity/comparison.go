package identity

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"earshot/chat"
)

const (
	domainSASCommit     = "earshot/v1 sas-commit\x00"
	domainSASTranscript = "earshot/v1 sas-transcript\x00"
	domainSASVerdict    = "earshot/v1 sas-verdict\x00"
)

const (
	// SASLength is how many symbols are compared: 7 of 64 are 42 bits.
	SASLength = 7
	// ComparisonLife bounds a comparison from its first message to its last:
	// people look, talk and press a key.
	ComparisonLife = 10 * time.Minute
	// MaxComparisonMessage bounds a message of a comparison, in bytes.
	MaxComparisonMessage = 128
	nonceSize            = 32
)

// Side is one of the two who compare: their root, and the device in their hands,
// as the other believes them to be.
type Side struct {
	Root   [ed25519.PublicKeySize]byte
	Device chat.DeviceID
}

// Comparison is one attempt of two people to find out, by comparing 7 symbols,
// whether each holds the other's true root key (PROTOCOL.md#comparing-symbols). The
// initiator commits to its nonce before it sees the other's, so that whoever sits
// in between can't choose symbols and is noticed except once in 2^42 attempts. It
// is a machine without I/O, not safe for concurrent use.
//
//	initiator -> commit   hash of its nonce and both sides
//	responder -> nonce
//	initiator -> reveal   its nonce
//	both      -> verdict  what their person said, signed
type Comparison struct {
	key        ed25519.PrivateKey // of this device
	initiator  bool
	own, peer  Side
	deadline   time.Time
	nonce      []byte // own
	commit     []byte
	transcript []byte // once both nonces are known
	state      sasState
	ended      error
	mine       bool // this person said that the symbols are the same
	theirs     bool
}

type sasState uint8

const (
	sasWaitsCommit sasState = iota
	sasWaitsNonce
	sasWaitsReveal
	sasCompares
	sasDone
	sasEnded
)

type sasCommit struct {
	Version uint8  `cbor:"1,keyasint"`
	Commit  []byte `cbor:"2,keyasint"`
}

type sasNonce struct {
	Nonce []byte `cbor:"3,keyasint"`
}

type sasReveal struct {
	Nonce []byte `cbor:"4,keyasint"`
}

type sasVerdict struct {
	Same bool   `cbor:"5,keyasint"`
	Sig  []byte `cbor:"6,keyasint"`
}

// Compare begins a comparison and returns the first message. key is this device's,
// rand cryptographically random. If both begin at once, the comparison that the
// device with the lower id began stands, and the other is cancelled.
func Compare(now time.Time, rand io.Reader, key ed25519.PrivateKey, own, peer Side) (*Comparison, []byte, error) {
	c, err := newComparison(now, rand, key, own, peer)
	if err != nil {
		return nil, nil, err
	}
	c.initiator, c.state = true, sasWaitsNonce
	c.commit = c.commitment(c.nonce)
	return c, must(encMode.Marshal(sasCommit{Version: Version, Commit: c.commit})), nil
}

// Respond begins the other side of a comparison, which takes the first message.
func Respond(now time.Time, rand io.Reader, key ed25519.PrivateKey, own, peer Side) (*Comparison, error) {
	return newComparison(now, rand, key, own, peer)
}

func newComparison(now time.Time, rand io.Reader, key ed25519.PrivateKey, own, peer Side) (*Comparison, error) {
	if len(key) != ed25519.PrivateKeySize || chat.DeviceID(key.Public().(ed25519.PublicKey)) != own.Device {
		return nil, errors.New("a comparison needs the key of this device")
	}
	if own.Root == peer.Root || own.Device == peer.Device {
		return nil, chat.Errorf(chat.CodeUsage, "There is nothing to compare with yourself. Choose another person.")
	}
	c := &Comparison{key: key, own: own, peer: peer, deadline: now.Add(ComparisonLife), nonce: make([]byte, nonceSize)}
	_, err := io.ReadFull(rand, c.nonce)
	return c, err
}

// sides returns both sides in their roles, initiator first: 128 bytes.
func (c *Comparison) sides() []byte {
	first, second := c.own, c.peer
	if !c.initiator {
		first, second = second, first
	}
	var out []byte
	for _, s := range []Side{first, second} {
		out = append(append(out, s.Root[:]...), s.Device[:]...)
	}
	return out
}

// commitment is what the initiator of this nonce commits to.
func (c *Comparison) commitment(nonce []byte) []byte {
	return sasHash(domainSASCommit, c.sides(), nonce)
}

func sasHash(domain string, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write([]byte(domain))
	for _, p := range parts { // every part has one length
		h.Write(p)
	}
	return h.Sum(nil)
}

// Receive takes the next message from the peer's device and returns what to send,
// nil for nothing. Any error ends an attempt that is not done.
func (c *Comparison) Receive(now time.Time, message []byte) ([]byte, error) {
	switch c.state {
	case sasEnded:
		return nil, c.ended
	case sasDone:
		return nil, invalid("a verification message after the last")
	}
	reply, err := c.receive(now, message)
	if err != nil {
		c.end(err)
	}
	return reply, err
}

func (c *Comparison) receive(now time.Time, message []byte) ([]byte, error) {
	const what = "a verification message"
	if now.After(c.deadline) {
		return nil, expired()
	}
	if len(message) > MaxComparisonMessage {
		return nil, invalid("%s of %d bytes", what, len(message))
	}
	switch c.state {
	case sasWaitsCommit:
		var in sasCommit
		if err := strict(what, message, &in); err != nil {
			return nil, err
		}
		if in.Version != Version || len(in.Commit) != sha256.Size {
			return nil, invalid("%s of version %d with a commitment of %d bytes", what, in.Version, len(in.Commit))
		}
		c.commit, c.state = in.Commit, sasWaitsReveal
		return must(encMode.Marshal(sasNonce{Nonce: c.nonce})), nil
	case sasWaitsNonce:
		var in sasNonce
		if err := strict(what, message, &in); err != nil {
			return nil, err
		}
		if len(in.Nonce) != nonceSize {
			return nil, invalid("%s with a nonce of %d bytes", what, len(in.Nonce))
		}
		c.compare(c.nonce, in.Nonce)
		return must(encMode.Marshal(sasReveal{Nonce: c.nonce})), nil
	case sasWaitsReveal:
		var in sasReveal
		if err := strict(what, message, &in); err != nil {
			return nil, err
		}
		if len(in.Nonce) != nonceSize || !hmac.Equal(c.commitment(in.Nonce), c.commit) {
			return nil, chat.Errorf(chat.CodeInvalid,
				"The other side did not keep to what it had committed to: somebody may sit between you. Don't trust this connection; verify in person, or by the 60-digit number.")
		}
		c.compare(in.Nonce, c.nonce)
		return nil, nil
	default: // sasCompares
		return nil, c.takeVerdict(message)
	}
}

func expired() error {
	return chat.Errorf(chat.CodeUnreachable, "The verification took too long. Start it again when both of you are there.")
}

// compare fixes the transcript: from here the symbols are shown.
func (c *Comparison) compare(initiator, responder []byte) {
	c.transcript = sasHash(domainSASTranscript, c.sides(), c.commit, initiator, responder)
	c.state = sasCompares
}

// Symbols returns what both people see if nobody sits in between; false before
// both nonces are known and after the attempt has ended.
func (c *Comparison) Symbols() (out [SASLength]Symbol, ok bool) {
	if c.state != sasCompares && c.state != sasDone {
		return out, false
	}
	bits := binary.BigEndian.Uint64(c.transcript)
	for i := range out {
		out[i] = symbols[bits>>58]
		bits <<= 6
	}
	return out, true
}

// Say is this person's verdict; it returns the message to send. The symbols are the
// same only if the person says that they have compared them.
func (c *Comparison) Say(now time.Time, same bool) ([]byte, error) {
	switch {
	case c.state == sasEnded:
		return nil, c.ended
	case c.state != sasCompares || c.mine:
		return nil, chat.Errorf(chat.CodeUsage, "There are no symbols to compare now. Start a verification.")
	case now.After(c.deadline):
		c.end(expired())
		return nil, c.ended
	}
	message := must(encMode.Marshal(sasVerdict{Same: same, Sig: ed25519.Sign(c.key, c.verdict(c.initiator, same))}))
	if !same {
		c.end(differ())
		return message, nil
	}
	c.mine = true
	c.settle()
	return message, nil
}

func differ() error {
	return chat.Errorf(chat.CodeDenied,
		"The symbols are not the same: somebody may sit between you. Don't write anything private; verify in person, or by the 60-digit number.")
}

// verdict is what is signed: by which role, what, over which transcript.
func (c *Comparison) verdict(initiator, same bool) []byte {
	flag := func(b bool) byte {
		if b {
			return 1
		}
		return 0
	}
	return append(append([]byte(domainSASVerdict), flag(initiator), flag(same)), c.transcript...)
}

func (c *Comparison) takeVerdict(message []byte) error {
	var in sasVerdict
	if err := strict("a verification message", message, &in); err != nil {
		return err
	}
	if !ed25519.Verify(c.peer.Device[:], c.verdict(!c.initiator, in.Same), in.Sig) {
		return invalid("a verdict that the other device has not signed for these symbols")
	}
	switch {
	case c.theirs:
		return invalid("a second verdict")
	case !in.Same:
		return differ()
	}
	c.theirs = true
	c.settle()
	return nil
}

// settle ends the attempt well when both have said that the symbols are the same.
func (c *Comparison) settle() {
	if c.mine && c.theirs {
		c.state = sasDone
	}
}

// Verified reports whether both people have said that the symbols are the same: the
// peer's root is then theirs.
func (c *Comparison) Verified() bool { return c.state == sasDone }

// Cancel ends an attempt that is not done.
func (c *Comparison) Cancel() {
	if c.state != sasDone && c.state != sasEnded {
		c.end(chat.Errorf(chat.CodeDenied, "The verification was cancelled. Start it again if you want it after all."))
	}
}

// end makes every further call fail with err.
func (c *Comparison) end(err error) {
	clear(c.nonce)
	c.state, c.ended, c.transcript = sasEnded, err, nil
}
