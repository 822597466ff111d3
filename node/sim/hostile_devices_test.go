package sim

import (
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/identity"
	proto "earshot/chat/wire"
)

// What strangers may do about other people's devices.

const ownProtocol protocol.ID = "/earshot/own/1"

// list makes a list of devices signed by the stranger's root.
func (x *stranger) list(devices ...chat.DeviceID) identity.DeviceList {
	x.t.Helper()
	var listed []identity.ListedDevice
	for _, d := range devices {
		listed = append(listed, identity.ListedDevice{Device: d})
	}
	l, err := identity.NewRegistry(x.cert.Root).Sign(x.root, time.Now(), listed)
	if err != nil {
		x.t.Fatal(err)
	}
	return l
}

func TestAStrangerGetsNothingFromTheStreamOfOwnDevices(t *testing.T) {
	s := besiege(t)
	den := s.ann.create("den", "")
	m := s.ann.tells(den, "not for strangers")
	x := s.stranger(nil)
	s.ann.sees("Ben", chat.Here)
	x.openAndSend(peerProtocol, frames(x.hello()))
	l := x.list(x.victim, x.Device())
	raw := x.open(ownProtocol)
	if _, err := raw.Write(frames(
		proto.OwnHello{Root: true, List: l.Bytes(), Contacts: make([]byte, 32)},
		proto.OwnWant{Room: den[:], IDs: m.ID[:]},
	)); err != nil {
		t.Fatal(err)
	}
	_ = raw.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, _ := io.ReadAll(raw); len(got) != 0 {
		t.Errorf("it is told %q", got)
	}
	if list := s.ann.devices(); len(list) != 1 {
		t.Errorf("Ann has %+v", list)
	}
	x.vanish()
	s.withstood()
}

func TestAWelcomeThatNobodyWaitsForMakesNobodyAnothersDevice(t *testing.T) {
	s := besiege(t)
	before := s.ann.id()
	x := s.stranger(nil)
	cert, err := identity.Sign(x.root, x.victim, time.Now(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	welcome := proto.Welcome{Certificate: cert.Bytes(), List: x.list(x.victim, x.Device()).Bytes(), Name: "Mallory"}
	told := func() {
		x.openAndSend(peerProtocol, frames(x.hello(), proto.CodeShown{Shown: true}, proto.Confirm{Yes: true}, welcome, proto.Confirm{}))
		s.talk(5 * time.Second)
	}
	told()
	// Neither while a code is shown, nor while one is looked for.
	s.ann.addDevice()
	told()
	s.ann.must(s.ann.CancelPairing(s.ann.ctx))
	s.ann.joinDevice("1234 5678")
	told()
	s.ann.must(s.ann.CancelPairing(s.ann.ctx))
	if s.ann.id() != before || s.ann.Adopted() || len(s.ann.devices()) != 1 {
		t.Error("Ann's device is another's")
	}
	x.vanish()
	s.withstood()
}

func TestAGuessEndsTheCodeAndTellsNothing(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	s.ann.addDevice()
	pairing, hello, err := identity.EnterCode(time.Now(), keys{}, x.Device(), x.victim, "1234 5678", "evil")
	if err != nil {
		t.Fatal(err)
	}
	defer pairing.Cancel()
	x.openAndSend(peerProtocol, frames(x.hello(), proto.Pairing{Message: hello}, proto.Pairing{Message: []byte("no proof")}))
	s.ann.pairs(chat.PairingFailed)
	if err := s.ann.ConfirmDevice(s.ann.ctx, true); chat.CodeOf(err) != chat.CodeUsage {
		t.Errorf("there is something to confirm: %v", err)
	}
	if len(s.ann.devices()) != 1 {
		t.Error("a device was added")
	}
	x.vanish()
	s.withstood()
}

// keys are random bytes.
type keys struct{}

func (keys) Read(b []byte) (int, error) { return copy(b, garbage(len(b))), nil }
