package identity

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"earshot/chat"
)

// Pairing is one attempt to bring a new device to a person by 8 digits that are
// shown on a device of theirs and typed on the new one (PROTOCOL.md#pairing). A
// code lives as long as its Pairing and ends with the first message that answers
// it: whoever guesses has one guess in 10^8. It is a machine of three messages
// without I/O, not safe for concurrent use.
//
//	new device   -> hello    its share of CPace, its device key and label
//	their device -> reply    its share, its certificate, and a proof of the code
//	new device   -> confirm  a proof of the code
type Pairing struct {
	adds     bool // the side that shows the code
	code     []byte
	deadline time.Time
	self     chat.DeviceID
	peer     chat.DeviceID // new device: whom it talks to
	session  []byte
	run      *cpace
	rand     io.Reader
	key      []byte // the session key, unconfirmed
	tag      []byte // expected of the other side
	state    pairState
	ended    error

	certificate Certificate // adder: own; new device: the adder's
	label       string      // new device: own; adder: the new device's
}

type pairState uint8

const (
	pairWaitsHello pairState = iota
	pairWaitsReply
	pairWaitsConfirm
	pairDone
	pairEnded
)

const (
	// PairingLife bounds how long a code stands: enough to walk to the other
	// device and type it.
	PairingLife = 5 * time.Minute
	// MaxPairingMessage bounds a message of a pairing, in bytes.
	MaxPairingMessage = 512
	codeDigits        = 8
	sessionSize       = 16
	tagSize           = 64
)

const domainPairing = "earshot/v1 pairing\x00"

type pairHello struct {
	Version uint8  `cbor:"1,keyasint"`
	Session []byte `cbor:"2,keyasint"`
	Share   []byte `cbor:"3,keyasint"`
	Label   string `cbor:"4,keyasint"`
}

type pairReply struct {
	Share       []byte `cbor:"5,keyasint"`
	Certificate []byte `cbor:"6,keyasint"`
	Tag         []byte `cbor:"7,keyasint"`
}

type pairConfirm struct {
	Tag []byte `cbor:"8,keyasint"`
}

// ShowCode begins a pairing on a device that the person has; rand is
// cryptographically random. Code returns what to show.
func ShowCode(now time.Time, rand io.Reader, own Certificate) (*Pairing, error) {
	if own.raw == nil {
		return nil, errors.New("a pairing needs the certificate of this device")
	}
	code, err := newCode(rand)
	if err != nil {
		return nil, err
	}
	return &Pairing{
		adds: true, code: code, deadline: now.Add(PairingLife), self: own.Device, rand: rand, certificate: own, state: pairWaitsHello,
	}, nil
}

// EnterCode begins a pairing on the new device and returns the hello to send.
// peer is the device at the other end of the connection; code is what the person
// typed, spaces and dashes aside. The label is UTF-8 of at most MaxLabel bytes.
func EnterCode(now time.Time, rand io.Reader, self, peer chat.DeviceID, code, label string) (*Pairing, []byte, error) {
	digits, err := ParseCode(code)
	if err != nil {
		return nil, nil, err
	}
	if len(label) > MaxLabel || !utf8.ValidString(label) {
		return nil, nil, chat.Errorf(chat.CodeTooLong, "The device's name is too long. Give one of at most %d bytes.", MaxLabel)
	}
	p := &Pairing{
		code: []byte(digits), deadline: now.Add(PairingLife), self: self, peer: peer, rand: rand, label: label,
		session: make([]byte, sessionSize), state: pairWaitsReply,
	}
	if _, err := io.ReadFull(rand, p.session); err != nil {
		return nil, nil, err
	}
	if err := p.start(self, peer, lv(self[:], []byte(label))); err != nil {
		return nil, nil, err
	}
	return p, must(encMode.Marshal(pairHello{Version: Version, Session: p.session, Share: p.run.share, Label: label})), nil
}

// ParseCode returns the digits of a code as a person typed it: spaces and dashes go.
func ParseCode(code string) (string, error) {
	digits := make([]byte, 0, codeDigits)
	for _, r := range code {
		switch {
		case r >= '0' && r <= '9' && len(digits) < codeDigits+1:
			digits = append(digits, byte(r))
		case r == ' ' || r == '-':
		default:
			return "", badCode()
		}
	}
	if len(digits) != codeDigits {
		return "", badCode()
	}
	return string(digits), nil
}

func badCode() error {
	return chat.Errorf(chat.CodeUsage, "A pairing code has %d digits. Type what the other device shows.", codeDigits)
}

// newCode returns 8 digits, each code as likely as any other.
func newCode(rand io.Reader) ([]byte, error) {
	const codes = 100_000_000
	var b [4]byte
	for {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return nil, err
		}
		if n := binary.BigEndian.Uint32(b[:]); n < 1<<32/codes*codes {
			return fmt.Appendf(nil, "%08d", n%codes), nil
		}
	}
}

// start runs CPace's first step. The channel names both devices, new one first.
func (p *Pairing) start(joins, adds chat.DeviceID, info []byte) error {
	scalar := make([]byte, 32)
	if _, err := io.ReadFull(p.rand, scalar); err != nil {
		return err
	}
	var err error
	p.run, err = startCPace(scalar, p.code, lv([]byte(domainPairing), joins[:], adds[:]), p.session, info)
	return err
}

// offerPrefix begins the text of a QR code that stands for a typed code; the id
// of the device that shows it follows, a colon, and the digits. Capital letters make
// smaller codes; any are read.
const offerPrefix = "EARSHOT:PAIR:1:"

// ParseOffer reads what a person typed or scanned to join: digits, or the text of the
// QR code, which names the device that shows it; device is zero otherwise.
func ParseOffer(s string) (device chat.DeviceID, code string, err error) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if rest, ok := strings.CutPrefix(s, offerPrefix); ok {
		id, digits, _ := strings.Cut(rest, ":")
		if device, err = chat.ParseDeviceID(id); err != nil {
			return chat.DeviceID{}, "", err
		}
		s = digits
	}
	code, err = ParseCode(s)
	return device, code, err
}

// Offer returns the text of the QR code; "" where Code is.
func (p *Pairing) Offer(now time.Time) string {
	code := p.Code(now)
	if code == "" {
		return ""
	}
	return offerPrefix + p.self.String() + ":" + strings.ReplaceAll(code, " ", "")
}

// Code returns the digits to show, in two groups; "" once it has been answered, has
// expired, or on the new device.
func (p *Pairing) Code(now time.Time) string {
	if !p.adds || p.state != pairWaitsHello || now.After(p.deadline) {
		return ""
	}
	return string(p.code[:4]) + " " + string(p.code[4:])
}

// Receive takes the next message from the device at the other end and returns what
// to send, nil for nothing. Any error ends an attempt that is not done: the next needs
// a new code.
func (p *Pairing) Receive(now time.Time, from chat.DeviceID, message []byte) ([]byte, error) {
	switch p.state {
	case pairEnded:
		return nil, p.ended
	case pairDone:
		return nil, invalid("a pairing message after the last")
	}
	reply, err := p.receive(now, from, message)
	if err != nil {
		p.end(err)
	}
	return reply, err
}

func (p *Pairing) receive(now time.Time, from chat.DeviceID, message []byte) ([]byte, error) {
	switch {
	case now.After(p.deadline):
		return nil, chat.Errorf(chat.CodeUnreachable, "The pairing code has expired. Start again and type the new one.")
	case len(message) > MaxPairingMessage:
		return nil, invalid("a pairing message of %d bytes", len(message))
	case from == p.self:
		return nil, invalid("a device that pairs with itself")
	case p.state != pairWaitsHello && from != p.peer:
		return nil, invalid("a pairing message from a third device")
	}
	switch p.state {
	case pairWaitsHello:
		return p.takeHello(from, message)
	case pairWaitsReply:
		return p.takeReply(message)
	default: // pairWaitsConfirm
		return nil, p.takeConfirm(message)
	}
}

func (p *Pairing) takeHello(from chat.DeviceID, message []byte) ([]byte, error) {
	var in pairHello
	if err := strict("a pairing message", message, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Version != Version:
		return nil, invalid("pairing version %d, this is version %d", in.Version, Version)
	case len(in.Session) != sessionSize:
		return nil, invalid("a pairing with a session of %d bytes", len(in.Session))
	case len(in.Label) > MaxLabel || !utf8.ValidString(in.Label):
		return nil, invalid("a pairing with a label that is too long or not UTF-8")
	}
	p.peer, p.session, p.label = from, in.Session, in.Label
	if err := p.start(from, p.self, p.certificate.raw); err != nil {
		return nil, err
	}
	info := lv(from[:], []byte(in.Label))
	if err := p.finish(in.Share, info, false); err != nil {
		return nil, err
	}
	p.state = pairWaitsConfirm
	return must(encMode.Marshal(pairReply{
		Share: p.run.share, Certificate: p.certificate.raw, Tag: cpaceTag(p.session, p.key, p.run.share, p.run.info),
	})), nil
}

func (p *Pairing) takeReply(message []byte) ([]byte, error) {
	var in pairReply
	if err := strict("a pairing message", message, &in); err != nil {
		return nil, err
	}
	c, err := Parse(in.Certificate)
	if err != nil {
		return nil, err
	}
	if err := c.Verify(); err != nil {
		return nil, err
	}
	if c.Device != p.peer {
		return nil, invalid("a pairing under another device's certificate")
	}
	if err := p.finish(in.Share, in.Certificate, true); err != nil {
		return nil, err
	}
	if !hmac.Equal(in.Tag, p.tag) {
		return nil, wrongCode()
	}
	p.certificate, p.state = c, pairDone
	return must(encMode.Marshal(pairConfirm{Tag: cpaceTag(p.session, p.key, p.run.share, p.run.info)})), nil
}

func (p *Pairing) takeConfirm(message []byte) error {
	var in pairConfirm
	if err := strict("a pairing message", message, &in); err != nil {
		return err
	}
	if !hmac.Equal(in.Tag, p.tag) {
		return wrongCode()
	}
	p.state = pairDone
	return nil
}

// finish computes the session key and the tag that the other side must send.
func (p *Pairing) finish(share, info []byte, initiator bool) error {
	if bytes.Equal(share, p.run.share) {
		return invalid("a pairing share sent back")
	}
	key, err := p.run.finish(share, info, initiator)
	if err != nil {
		return invalid("a pairing share that is no point: %v", err)
	}
	p.key, p.tag = key, cpaceTag(p.session, key, share, info)
	return nil
}

func wrongCode() error {
	return chat.Errorf(chat.CodeDenied,
		"The pairing code was not the one shown, or somebody came between the two devices. Start again: a new code is shown.")
}

// end forgets every secret of the attempt.
func (p *Pairing) end(err error) {
	clear(p.code)
	clear(p.key)
	p.state, p.ended, p.run, p.tag = pairEnded, err, nil, nil
}

// Cancel ends the attempt.
func (p *Pairing) Cancel() {
	if p.state != pairEnded {
		p.end(chat.Errorf(chat.CodeDenied, "The pairing was cancelled. Start again if you want it after all."))
	}
}

// Paired is what both sides know when each has proved to the other that it knew
// the code. The person is asked on both before a certificate is signed.
type Paired struct {
	New   chat.DeviceID // the new device
	Label string        // as it calls itself; through chat.CleanName before a face
	By    Certificate   // of the device that showed the code, and so the root
	// Key is 32 secret bytes that both sides share and nobody else has.
	Key [32]byte
}

// Paired returns the result; false until both sides have proved the code.
func (p *Pairing) Paired() (Paired, bool) {
	if p.state != pairDone {
		return Paired{}, false
	}
	out := Paired{New: p.peer, Label: p.label, By: p.certificate}
	if !p.adds {
		out.New = p.self
	}
	copy(out.Key[:], must(hkdf.Key(sha256.New, p.key, nil, domainPairing, len(out.Key))))
	return out, true
}
