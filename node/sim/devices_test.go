package sim

import (
	"strings"
	"testing"

	"earshot/chat"
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

// again starts the node of a home anew.
func (d *desk) again(o *Office, enter func(string) *desk, name string) *desk {
	d.t.Helper()
	if err := o.Leave(d.ctx, d.Node); err != nil {
		d.t.Fatal(err)
	}
	return enter(name)
}

// join makes a new node one of ann's devices, and returns it as that.
func join(t *testing.T, o *Office, enter func(string) *desk, ann *desk) *desk {
	t.Helper()
	phone := enter("phone")
	code := ann.addDevice()
	phone.joinDevice(code.Code)
	ann.pairs(chat.PairingConfirm)
	phone.pairs(chat.PairingConfirm)
	phone.confirm(true)
	ann.confirm(true)
	ann.pairs(chat.PairingDone)
	phone.pairs(chat.PairingDone)
	<-phone.Done()
	if !phone.Adopted() {
		t.Fatal("the node ended and does not say why")
	}
	return phone.again(o, func(string) *desk { return reenter(t, o, ann, "phone") }, "phone")
}

// reenter starts a node on a home without giving it a name.
func reenter(t *testing.T, o *Office, like *desk, home string) *desk {
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
	phone := join(t, o, enter, ann)
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
