package lab_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// join makes another station's device one of this person's. Its daemon, which goes on
// as the person, is told apart from then on by its device only.
func (s *station) join(other *station) {
	s.t.Helper()
	var shown struct{ Code, QR string }
	s.post("/devices/add", nil, &shown)
	if len(strings.ReplaceAll(shown.Code, " ", "")) != 8 || shown.QR == "" {
		s.t.Fatalf("%s shows %+v", s.name, shown)
	}
	other.hush() // it would hold on to the node that ends
	other.post("/devices/join", map[string]string{"code": shown.Code, "label": "phone"}, nil)
	for _, d := range []*station{other, s} {
		eventually(s.t, 10*time.Second, d.name+" has proved the code", func() bool {
			return d.poster().do(within(d.t, 5*time.Second), http.MethodPost, "/devices/confirm", map[string]bool{"yes": true}, nil) == nil
		})
	}
	eventually(s.t, 10*time.Second, other.name+" is "+s.name+"'s", func() bool { return other.is(s.person) })
	other.person = s.person
	other.listen()
}

// is reports whether this person's node says that it is somebody's, if it answers.
func (s *station) is(person string) bool {
	if _, err := os.Stat(filepath.Join(s.home, "api.json")); err != nil {
		return false // between two nodes
	}
	var me struct{ Person string }
	err := s.poster().do(within(s.t, 5*time.Second), http.MethodGet, "/me", nil, &me)
	return err == nil && me.Person == person
}

func TestAnotherDeviceReadsAlongUntilItIsRevoked(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "wire.pcap")
	capture, err := w.lan.Capture(file)
	if err != nil {
		t.Fatal(err)
	}
	ann, bob, phone := w.named("host1", annsName), w.named("host2", bobsName), w.named("host3", "phone")
	meet(5*time.Second, ann, bob, phone)
	id := confide(ann, bob)
	direct := ann.direct(bob)
	ann.join(phone)

	phone.comesToRead(direct, directly+" one", 20*time.Second)
	phone.comesToRead(direct, answered+" two", 20*time.Second)
	phone.comesToRead(id, inRoom+" three", 20*time.Second)
	phone.says(direct, "from the phone")
	bob.hears("from the phone", 10*time.Second)
	if e, _ := ann.hears("from the phone", 10*time.Second); e.From.Person != ann.person || e.From.Device != phone.device {
		t.Errorf("ann hears %+v", e)
	}

	// The daemon goes on as her over a power cut, too.
	phone.kill()
	phone.start()
	bob.says(direct, "to both of you")
	ann.comesToRead(direct, "to both of you", 10*time.Second)
	phone.comesToRead(direct, "to both of you", 20*time.Second)

	ann.post("/devices/"+phone.device+"/revoke", nil, nil)
	eventually(t, 10*time.Second, "the phone says that it was revoked", func() bool { return strings.Contains(phone.everything(), `"revoked"`) })
	ann.says(direct, again+" without it")
	bob.comesToRead(direct, again+" without it", 10*time.Second)
	ann.says(id, again+" in the room")
	bob.comesToRead(id, again+" in the room", 10*time.Second)
	// What ann has said tells bob of it.
	bob.says(direct, "henceforward from bob")
	ann.comesToRead(direct, "henceforward from bob", 10*time.Second)
	ann.send("the lobby is for all")
	phone.hears("the lobby is for all", 10*time.Second)
	for _, room := range []string{direct, id} {
		phone.knowsNothingOf(room, "the lobby is for all", "without it", again+" in the room", "henceforward")
	}

	for _, s := range []*station{ann, bob, phone} {
		s.stop()
	}
	if err := capture.Close(); err != nil {
		t.Fatal(err)
	}
	wire, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	noTrace(t, "the wire", wire, append(secrets, "from the phone", "to both of you", "without it", id)...)
}
