package wire

import (
	"testing"

	"earshot/chat"
)

func refuse(t *testing.T, frames map[string]Frame) {
	t.Helper()
	for name, f := range frames {
		if _, err := DecodeFrame(EncodeFrame(f)); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// peopleFrames returns frames of people.go that break a rule each.
func peopleFrames() map[string]Frame {
	room, grant := fill(32, 1), HistoryGrant{Device: fill(32, 2), Epoch: 1, Key: fill(32, 3)}
	grants := func(change func(*HistoryGrant)) []HistoryGrant {
		g := grant
		change(&g)
		return []HistoryGrant{grant, g}
	}
	return map[string]Frame{
		"hello with a long prekey":          Hello{Certificate: room, Prekey: fill(MaxPrekey+1, 1)},
		"an acknowledgement of nothing":     KeyAck{Root: []byte{}},
		"an acknowledgement of too much":    KeyAck{Root: fill(9, 1)},
		"no contact message":                Contact{Message: []byte{}},
		"a long contact message":            Contact{Message: fill(MaxContact+1, 1)},
		"a confirmation of nothing":         ContactAck{ID: fill(31, 1)},
		"operations held of no room":        OpsHave{Room: []byte{}, Root: room},
		"operations held with a short root": OpsHave{Room: room, Root: fill(31, 1)},
		"operations wanted of no room":      OpsWant{Room: fill(31, 1)},
		"half an operation's beginning":     OpsWant{Room: room, Have: fill(OpPrefix+1, 1)},
		"too many beginnings":               OpsWant{Room: room, Have: fill(OpPrefix*(chat.MaxMembershipOps+1), 1)},
		"operations of no room":             Ops{Room: fill(33, 1), Ops: [][]byte{room}},
		"no operation":                      Ops{Room: room, Ops: [][]byte{}},
		"too many operations":               Ops{Room: room, Ops: repeat(MaxOperations+1, []byte{1})},
		"an empty operation":                Ops{Room: room, Ops: [][]byte{room, {}}},
		"an operation that is null":         Ops{Room: room, Ops: [][]byte{nil}},
		"a long operation":                  Ops{Room: room, Ops: [][]byte{fill(MaxOperation+1, 1)}},
		"no device list":                    Devices{List: []byte{}},
		"a long device list":                Devices{List: fill(MaxDeviceList+1, 1)},
		"a comparison without words":        Verify{Message: []byte{}},
		"a comparison of many words":        Verify{Message: fill(MaxVerify+1, 1)},
		"a pairing without words":           Pairing{Message: []byte{}},
		"a pairing of many words":           Pairing{Message: fill(MaxPairing+1, 1)},
		"a welcome without certificate":     Welcome{Certificate: []byte{}, List: room},
		"a welcome without list":            Welcome{Certificate: room, List: []byte{}},
		"a welcome with a long certificate": Welcome{Certificate: fill(maxCertificate+1, 1), List: room},
		"a welcome with a long list":        Welcome{Certificate: room, List: fill(MaxDeviceList+1, 1)},
		"a welcome with a long name":        Welcome{Certificate: room, List: room, Name: string(fill(chat.MaxName+1, 'x'))},
		"a welcome that is not UTF-8":       Welcome{Certificate: room, List: room, Name: "\xff"},
		"history of no room":                History{Room: []byte{}},
		"too many keys":                     History{Room: room, Grants: repeat(MaxGrants+1, grant)},
		"a key of a short device":           History{Room: room, Grants: grants(func(g *HistoryGrant) { g.Device = g.Device[1:] })},
		"a key of no epoch":                 History{Room: room, Grants: grants(func(g *HistoryGrant) { g.Epoch = 0 })},
		"a short key":                       History{Room: room, Grants: grants(func(g *HistoryGrant) { g.Key = g.Key[1:] })},
		"history wanted of no room":         HistoryWant{Room: fill(31, 1)},
	}
}

// What the limits allow fits a frame, and is read.
func TestFramesAtTheirLimitsFit(t *testing.T) {
	room := fill(32, 1)
	for name, f := range map[string]Frame{
		"operations held": OpsWant{Room: room, Have: fill(OpPrefix*chat.MaxMembershipOps, 1)},
		"operations":      Ops{Room: room, Ops: repeat(MaxOperations, fill(chat.MaxFrame/MaxOperations-8, 1)), More: true},
		"one operation":   Ops{Room: room, Ops: [][]byte{fill(MaxOperation, 1)}},
		"a device list":   Devices{List: fill(MaxDeviceList, 1)},
		"a welcome":       Welcome{Certificate: fill(maxCertificate, 1), List: fill(MaxDeviceList, 1), Name: string(fill(chat.MaxName, 'x'))},
		"history": History{Room: room, More: true, Grants: repeat(MaxGrants, HistoryGrant{
			Device: room, Epoch: 1<<64 - 1, N: 1<<64 - 1, Key: room,
		})},
	} {
		b := EncodeFrame(f)
		if len(b) > chat.MaxFrame {
			t.Errorf("%s take %d bytes", name, len(b))
		} else if _, err := DecodeFrame(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeOperations(Marshal(Operations{})); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("no operations: %v", err)
	}
}
