package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// Several devices of one person.

// pairs waits for a state of the pairing.
func (d *desk) pairs(state chat.PairingState) chat.Pairing {
	d.t.Helper()
	return d.await("pairing "+string(state), func(e chat.Event) bool {
		p, ok := e.(chat.PairingEvent)
		return ok && p.State == state
	}).(chat.PairingEvent).Pairing
}

func (d *desk) addDevice() chat.Pairing {
	d.t.Helper()
	p, err := d.AddDevice(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	if p.State != chat.PairingCode || p.Code == "" || p.QR == "" {
		d.t.Fatalf("%s shows %+v", d.Name(), p)
	}
	return p
}

func (d *desk) joinDevice(code string) {
	d.t.Helper()
	if _, err := d.JoinDevice(d.ctx, code, "phone"); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) confirm(yes bool) {
	d.t.Helper()
	if err := d.ConfirmDevice(d.ctx, yes); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) devices() []chat.OwnDevice {
	d.t.Helper()
	list, err := d.Devices(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// reboot ends a node and starts another one on its home.
func (o *Office) reboot(d *desk, home string) *desk {
	d.t.Helper()
	o.leave(d)
	return reenter(d.t, o, d, home)
}

// introduce has ann's node and that of a new home prove the code to each other.
func introduce(enter func(string) *desk, ann *desk, home string) *desk {
	ann.t.Helper()
	phone := enter(home)
	code := ann.addDevice()
	phone.joinDevice(code.Code)
	ann.pairs(chat.PairingConfirm)
	phone.pairs(chat.PairingConfirm)
	return phone
}

// join makes a new node one of ann's devices, and returns it as that.
func join(o *Office, enter func(string) *desk, ann *desk) *desk {
	ann.t.Helper()
	return joinAs(o, enter, ann, "phone")
}

func joinAs(o *Office, enter func(string) *desk, ann *desk, home string) *desk {
	ann.t.Helper()
	device := introduce(enter, ann, home)
	device.confirm(true)
	ann.confirm(true)
	ann.pairs(chat.PairingDone)
	return o.comesBack(device, home)
}

// comesBack waits for a device to have joined, and starts it as the person's.
func (o *Office) comesBack(phone *desk, home string) *desk {
	phone.t.Helper()
	phone.pairs(chat.PairingDone)
	<-phone.Done()
	if !phone.Adopted() {
		phone.t.Fatal("the node ended and does not say why")
	}
	return o.reboot(phone, home)
}

// reenter starts a node on a home without giving it a name.
func reenter(t testing.TB, o *Office, like *desk, home string) *desk {
	t.Helper()
	n, err := o.enter(like.ctx, home, "")
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, like.ctx, n)
}

func TestANewDeviceJoinsByItsCode(t *testing.T) {
	o, enter := newOffice(t)
	ann := enter("Ann")
	before, _ := ann.Me(ann.ctx)
	phone := join(o, enter, ann)
	me, err := phone.Me(phone.ctx)
	if err != nil || me.Person != before.Person || me.Device == before.Device || me.Name != "Ann" {
		t.Fatalf("the phone is %+v (%v), not a device of %+v", me, err, before)
	}
	for _, d := range []*desk{ann, phone} {
		list := d.devices()
		if len(list) != 2 || !list[0].This || list[1].This || list[0].Revoked || list[1].Revoked {
			t.Errorf("%s lists %+v", d.Name(), list)
		}
	}
	if list := ann.devices(); list[1].Device != me.Device || list[1].Label != "phone" {
		t.Errorf("Ann's list has %+v", list[1])
	}
	// Only the device with the root key changes the list, and the other says which one that is.
	_, err = phone.AddDevice(phone.ctx)
	if chat.CodeOf(err) != chat.CodeDenied || !strings.Contains(err.Error(), before.Device.Short()) {
		t.Errorf("the phone adds a device: %v", err)
	}
	// What one says, the other shows as its own.
	ann.say("from the laptop")
	if m := phone.hears("from the laptop"); !m.Mine || m.From.Device != before.Device {
		t.Errorf("on the phone it is %+v", m)
	}
	phone.say("from the phone")
	if m := ann.hears("from the phone"); !m.Mine || m.From.Person != before.Person {
		t.Errorf("on the laptop it is %+v", m)
	}
}

func TestNoLogIsGoneOnWithUnderAnotherCertificate(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	phone := enter("phone")
	phone.say("before it was Ann's")
	old := ben.hears("before it was Ann's").From
	o.leave(phone)
	phone = join(o, enter, ann)
	phone.say("now it is")
	m := ben.hears("now it is")
	if m.From.Person != ann.id() || m.From.Name != "Ann" || m.From.Device != old.Device {
		t.Errorf("after joining it is %+v, before it was %+v", m.From, old)
	}
	// For others it is hers from then on, and nobody is left of who it was.
	ben.until("the phone is Ann's", func() bool {
		p, known := ben.knows(ann.id())
		_, left := ben.knows(old.Person)
		return known && len(p.Devices) == 2 && !left
	})
	// Once more, since what it wrote before must not take it back.
	ben = o.reboot(ben, "Ben")
	ben.until("the phone is Ann's still", func() bool {
		p, known := ben.knows(ann.id())
		return known && len(p.Devices) == 2
	})
}

func TestAWrongCodeEndsTheCode(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, phone := enter("Ann"), enter("phone")
	code := ann.addDevice()
	wrong := []byte(code.Code)
	wrong[0] = '0' + (wrong[0]-'0'+1)%10
	phone.joinDevice(string(wrong))
	if p := ann.pairs(chat.PairingFailed); p.Reason == "" {
		t.Errorf("Ann is told %+v", p)
	}
	if p := phone.pairs(chat.PairingFailed); p.Reason == "" {
		t.Errorf("the phone is told %+v", p)
	}
	// The right one comes too late.
	phone.joinDevice(code.Code)
	if err := phone.CancelPairing(phone.ctx); err != nil {
		t.Fatal(err)
	}
	if len(ann.devices()) != 1 || phone.id() == ann.id() {
		t.Error("it joined all the same")
	}
}

func TestAThirdDeviceThatAnswersFirstDoesNotKeepTheNewOneOut(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, eve, phone := enter("Ann"), enter("Eve"), enter("phone")
	for _, d := range []*desk{ann, eve} {
		phone.sees(d.Name(), chat.Here)
		d.sees("phone", chat.Here)
	}
	// The later one is tried first. Whoever has somebody's request has heard what they said before.
	var code chat.Pairing
	for _, d := range []*desk{ann, eve} {
		if shown := d.addDevice(); d == ann {
			code = shown
		}
		_, err := d.AddContact(d.ctx, phone.id(), "")
		d.must(err)
		phone.becomes(d, chat.RelationAsking)
		phone.must(phone.DeclineContact(phone.ctx, d.id()))
	}
	phone.joinDevice(code.Code)
	eve.pairs(chat.PairingFailed)
	ann.pairs(chat.PairingConfirm)
	phone.pairs(chat.PairingConfirm)
	ann.confirm(true)
	phone.confirm(true)
	if phone = o.comesBack(phone, "phone"); phone.id() != ann.id() {
		t.Error("it joined somebody else")
	}
}

func TestTheTextOfAQRCodeIsAnsweredToItsDeviceOnly(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, eve, phone := enter("Ann"), enter("Eve"), enter("phone")
	for _, d := range []*desk{ann, eve} {
		phone.sees(d.Name(), chat.Here)
	}
	code := ann.addDevice()
	eve.addDevice()
	phone.joinDevice(code.QR)
	ann.pairs(chat.PairingConfirm)
	phone.pairs(chat.PairingConfirm)
	ann.confirm(true)
	phone.confirm(true)
	if phone = o.comesBack(phone, "phone"); phone.id() != ann.id() {
		t.Error("it joined somebody else")
	}
	if err := eve.CancelPairing(eve.ctx); err != nil { // her code was not used
		t.Fatal(err)
	}
}

func TestNobodyJoinsWithoutAYesOnBothDevices(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]func(ann, phone *desk){
		"no on the old one": func(ann, phone *desk) { phone.confirm(true); ann.confirm(false) },
		"no on the new one": func(ann, phone *desk) { ann.confirm(true); phone.confirm(false) },
		"called off":        func(ann, phone *desk) { phone.confirm(true); ann.must(ann.CancelPairing(ann.ctx)) },
	} {
		t.Run(name, func(t *testing.T) {
			_, enter := newOffice(t)
			ann := enter("Ann")
			phone := introduce(enter, ann, "phone")
			says(ann, phone)
			ann.pairs(chat.PairingFailed)
			phone.pairs(chat.PairingFailed)
			if len(ann.devices()) != 1 || phone.id() == ann.id() {
				t.Error("it joined")
			}
			if err := phone.ConfirmDevice(phone.ctx, true); chat.CodeOf(err) != chat.CodeUsage {
				t.Errorf("a yes afterwards: %v", err)
			}
		})
	}
}

func TestJoiningIsFinishedWhateverIsRestarted(t *testing.T) {
	t.Parallel()
	t.Run("the new device, when it has said yes", func(t *testing.T) {
		o, enter := newOffice(t)
		ann := enter("Ann")
		phone := introduce(enter, ann, "phone")
		phone.confirm(true)
		phone = o.reboot(phone, "phone")
		ann.confirm(true)
		ann.pairs(chat.PairingDone)
		if phone = o.comesBack(phone, "phone"); phone.id() != ann.id() {
			t.Error("it joined somebody else")
		}
	})
	t.Run("the old device, when both have said yes", func(t *testing.T) {
		o, enter := newOffice(t)
		ann := enter("Ann")
		phone := introduce(enter, ann, "phone")
		phone.confirm(true)
		o.leave(phone) // before it is welcomed
		ann.confirm(true)
		ann.pairs(chat.PairingDone)
		ann = o.reboot(ann, "Ann")
		phone = reenter(t, o, ann, "phone")
		phone = o.comesBack(phone, "phone")
		if phone.id() != ann.id() || len(ann.devices()) != 2 {
			t.Errorf("Ann has %+v", ann.devices())
		}
		// Once it has come home it is not welcomed again.
		phone.sees("Ann", chat.Here)
		ann = o.reboot(ann, "Ann")
		ann.until("the phone is here", func() bool { return ann.devices()[1].Presence == chat.Here })
	})
}

func TestAHomeWithALifeOfItsOwnDoesNotJoin(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	_, err := ben.JoinDevice(ben.ctx, "1234 5678", "")
	ben.fails(chat.CodeDenied, err, "contacts", "--home")
	eve := enter("Eve")
	eve.create("mine", "")
	_, err = eve.JoinDevice(eve.ctx, "1234 5678", "")
	eve.fails(chat.CodeDenied, err, "private conversations")
	_, err = eve.JoinDevice(eve.ctx, "1234 567", "")
	eve.fails(chat.CodeUsage, err, "8 digits")
}

func TestContactsAndHistoryFlowToANewDevice(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	direct := ann.chatWith(ben.id()).RoomID
	ann.tells(direct, "before the phone")
	ben.tells(direct, "I hear you")
	ann.reads(direct, "I hear you")
	private := ann.create("den", chat.HistoryNone)
	ann.tells(private, "alone in the den")
	ann.brings(private, ben)

	phone := join(o, enter, ann)
	phone.until("Ben is a contact", func() bool { return phone.relation(ben.id()) == chat.RelationContact })
	for room, texts := range map[chat.RoomID][]string{
		direct: {"before the phone", "I hear you"}, private: {"alone in the den"},
	} {
		for _, text := range texts {
			phone.reads(room, text)
		}
	}
	phone.until("it is in the den", func() bool { return phone.isIn(private) })
	// What one of the two says, everybody reads, and the other shows it as one's own.
	phone.tells(direct, "from the phone")
	ben.reads(direct, "from the phone")
	if m := ann.hears("from the phone"); !m.Mine || m.From.Person != ann.id() {
		t.Errorf("the laptop shows %+v", m)
	}
	ben.tells(direct, "to both")
	ann.reads(direct, "to both")
	phone.reads(direct, "to both")
	ann.tells(private, "in the den from the laptop")
	if m := phone.hears("in the den from the laptop"); !m.Mine {
		t.Errorf("the phone shows %+v", m)
	}
	// Nothing is asked again, and nothing lost, over a restart.
	phone = o.reboot(phone, "phone")
	if got := phone.texts(direct); len(got) != 4 {
		t.Errorf("after a restart: %q", got)
	}
	// Decisions of one count on the other.
	ann.must(ann.BlockPerson(ann.ctx, ben.id()))
	phone.until("Ben is blocked", func() bool { return phone.relation(ben.id()) == chat.RelationBlocked })
}

func TestARevokedDeviceReadsNothingSaidAfterwards(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	den := ann.create("den", chat.HistoryAll)
	ann.brings(den, ben)
	phone := join(o, enter, ann)
	ann.tells(room, "while it was mine")
	phone.reads(room, "while it was mine")
	phone.until("it is in the den", func() bool { return phone.isIn(den) })

	gone := ann.devices()[1].Device
	ann.must(ann.RevokeDevice(ann.ctx, gone))
	if list := ann.devices(); len(list) != 2 || !list[1].Revoked {
		t.Errorf("Ann lists %+v", list)
	}
	ann.must(ann.RevokeDevice(ann.ctx, gone)) // again is no harm
	phone.await("a plain word", func(e chat.Event) bool {
		w, ok := e.(chat.WarningEvent)
		return ok && w.Warning.Code == chat.CodeRevoked && !w.Clear
	})
	_, err := phone.Send(phone.ctx, room, chat.Draft{Text: "still me?"})
	phone.fails(chat.CodeRevoked, err, "revoked")

	ann.tells(room, "after it was stolen")
	ben.reads(room, "after it was stolen")
	ben.tells(room, "safe?")
	ann.reads(room, "safe?")
	ann.tells(den, "safe here")
	ben.reads(den, "safe here")
	// It learns nothing of it, not over a restart either, whoever it asks.
	phone = o.reboot(phone, "phone")
	phone.sees("Ben", chat.Here)
	ann.say("the lobby goes on")
	phone.hears("the lobby goes on")
	for _, text := range append(phone.texts(room), phone.texts(den)...) {
		if strings.Contains(text, "after") || strings.Contains(text, "safe") {
			t.Errorf("it reads %q", text)
		}
	}
	_, err = phone.Send(phone.ctx, den, chat.Draft{Text: "still me?"})
	phone.fails(chat.CodeRevoked, err, "revoked")
	_, err = phone.CreateRoom(phone.ctx, "new", "")
	phone.fails(chat.CodeRevoked, err, "revoked")
	o.leave(phone)
}

func TestALongHistoryFlowsInPages(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann := enter("Ann")
	den := ann.create("den", chat.HistoryNone)
	long := strings.Repeat("All work and no play. ", 500)
	var said []string
	for i := range 600 {
		text := fmt.Sprint("line ", i)
		if i%20 == 0 {
			text += " " + long
		}
		said = append(said, strings.TrimSpace(text))
		ann.tells(den, text)
	}
	phone := join(o, enter, ann)
	phone.until("it has read all", func() bool {
		var got []string
		var before chat.EntryID
		for {
			page, err := phone.Messages(phone.ctx, den, api.Page{Before: before, Limit: 500})
			if err != nil {
				return false // it has not heard of the room yet
			}
			if len(page) == 0 {
				break
			}
			var texts []string
			for _, m := range page {
				if !m.Mine {
					t.Fatalf("somebody else said %q", m.Text)
				}
				texts = append(texts, m.Text)
			}
			got, before = append(texts, got...), page[0].ID
		}
		return slices.Equal(got, said)
	})
}

func TestThreeDevicesOfOnePersonAgree(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	phone := join(o, enter, ann)
	tablet := joinAs(o, enter, ann, "tablet")
	all := []*desk{ann, phone, tablet}
	for _, d := range all {
		d.until("three devices are here", func() bool {
			list := d.devices()
			return len(list) == 3 && !slices.ContainsFunc(list, func(own chat.OwnDevice) bool { return own.Presence != chat.Here })
		})
	}
	// A contact of one is a contact of all, and their chat one chat.
	befriend(tablet, ben)
	for _, d := range all {
		d.until("Ben is a contact", func() bool { return d.relation(ben.id()) == chat.RelationContact })
	}
	room := ben.chatWith(ann.id()).RoomID
	ben.tells(room, "to all of you")
	for _, d := range all {
		d.reads(room, "to all of you")
	}
	phone.tells(room, "by the phone")
	for _, d := range []*desk{ann, tablet, ben} {
		d.reads(room, "by the phone")
	}
	// What one is told of a revocation while it is away, it learns when it is back.
	gone := tablet.devices()[0].Device
	o.leave(tablet)
	_, err := phone.AddDevice(phone.ctx)
	phone.fails(chat.CodeDenied, err, ann.devices()[0].Device.Short())
	phone.fails(chat.CodeDenied, phone.RevokeDevice(phone.ctx, gone), ann.devices()[0].Device.Short())
	ann.fails(chat.CodeDenied, ann.RevokeDevice(ann.ctx, ann.devices()[0].Device), "root key")
	ann.fails(chat.CodeNotFound, ann.RevokeDevice(ann.ctx, ben.devices()[0].Device))
	ann.must(ann.RevokeDevice(ann.ctx, gone))
	ann = o.reboot(ann, "Ann")
	ann.tells(room, "without the tablet")
	phone.reads(room, "without the tablet")
	ben.reads(room, "without the tablet")
	tablet = reenter(t, o, ann, "tablet")
	tablet.until("it knows that it was revoked", func() bool {
		me, err := tablet.Me(tablet.ctx)
		return err == nil && slices.ContainsFunc(me.Warnings, func(w chat.Error) bool { return w.Code == chat.CodeRevoked })
	})
	tablet.sees("Ben", chat.Here)
	ben.say("in the open")
	tablet.hears("in the open")
	if slices.Contains(tablet.texts(room), "without the tablet") {
		t.Error("it reads what was said without it")
	}
	for _, d := range []*desk{ann, phone} {
		d.until("it is listed as revoked", func() bool {
			list := d.devices()
			return len(list) == 3 && list[2].Revoked && list[2].Device == gone
		})
	}
}

func TestWhoIsSeenByContactsOnlyCanAddADeviceAllTheSame(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann := enter("Ann")
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.Nobody)))
	_, err := ann.AddDevice(ann.ctx)
	ann.fails(chat.CodeInvisible, err, "invisible")
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.OnlyContacts)))
	phone := enter("phone")
	ann.sees("phone", chat.Here)
	if _, known := phone.knows(ann.id()); known {
		t.Error("the phone sees her before it is hers")
	}
	code := ann.addDevice()
	phone.joinDevice(code.Code)
	ann.pairs(chat.PairingConfirm)
	phone.pairs(chat.PairingConfirm)
	phone.confirm(true)
	ann.confirm(true)
	ann.pairs(chat.PairingDone)
	if phone = o.comesBack(phone, "phone"); phone.id() != ann.id() {
		t.Error("it joined somebody else")
	}
	ann.until("both are here", func() bool { list := ann.devices(); return len(list) == 2 && list[1].Presence == chat.Here })
}

// The new device is a stranger until it has heard the welcome, and strangers are told
// nothing here.
func TestWhoIsSeenByContactsOnlyMustNotKeepTheNewDeviceFromItsWelcome(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann := enter("Ann")
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.OnlyContacts)))
	phone := introduce(enter, ann, "phone")
	phone.confirm(true)
	o.leave(phone) // before it is welcomed
	ann.confirm(true)
	ann.pairs(chat.PairingDone)
	phone = reenter(t, o, ann, "phone")
	if phone = o.comesBack(phone, "phone"); phone.id() != ann.id() {
		t.Error("it joined somebody else")
	}
}

func TestANameChosenOnOneDeviceCountsOnAll(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	phone := join(o, enter, ann)
	// Names count by the second in which they were chosen.
	chosen := time.Now().Truncate(time.Second).Add(time.Second)
	ann.until("a second has passed", func() bool { return time.Now().After(chosen) })
	o.leave(ann)
	n, err := o.enter(phone.ctx, "Ann", "Annabel")
	if err != nil {
		t.Fatal(err)
	}
	ann = watch(t, phone.ctx, n)
	phone.until("it has heard her new name", func() bool { return phone.Name() == "Annabel" })
	ben.sees("Annabel", chat.Here)
	phone = o.reboot(phone, "phone")
	if phone.Name() != "Annabel" {
		t.Errorf("after a restart it calls her %q", phone.Name())
	}
	phone.say("it's me")
	if m := ben.hears("it's me"); m.From.Name != "Annabel" || m.From.Person != ann.id() {
		t.Errorf("Ben hears %+v", m.From)
	}
}
