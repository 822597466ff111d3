package chattest

import (
	"testing"
	"time"
)

func TestANetworkKnowsWhoIsHereAtLittleCost(t *testing.T) {
	m := Presence(1, 60, time.Minute)
	if m.Missed > 0 || m.Looked < 1000 {
		t.Errorf("%d of %d were not seen", m.Missed, m.Looked)
	}
	if age := at(m.Age, 99); age > 2 {
		t.Errorf("one sign of life in a hundred is %d slots old", age)
	}
	if m.Bytes > 200 {
		t.Errorf("each device sends %.0f bytes in a second", m.Bytes)
	}
	if len(m.Known) != 59 || len(m.Gone) != 59 {
		t.Errorf("%d of 59 know the other state, %d of 59 that a device crashed", len(m.Known), len(m.Gone))
	}
	again := Presence(1, 60, time.Minute)
	if m.String() != again.String() {
		t.Errorf("the same seed gives\n%s\n%s", m, again)
	}
}

// What is modelled is what engines do.
func TestTheModelOfPresenceDoesAsTheEnginesDo(t *testing.T) {
	engines, model := Presence(2, 60, time.Minute), PresenceModel(2, 60, time.Minute)
	if off := model.Bytes / engines.Bytes; off < 0.8 || off > 1.25 {
		t.Errorf("engines send %.0f bytes in a second, the model %.0f", engines.Bytes, model.Bytes)
	}
	if model.Missed > 0 || at(model.Age, 99) > 2 {
		t.Errorf("got %s", model)
	}
}
