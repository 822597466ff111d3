package chattest

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestAScheduleThatDoesNotComeToRestEndsWithAnError(t *testing.T) {
	w := newWorld(Config{Devices: 2}, rand.New(rand.NewPCG(1, 1)))
	w.most = 1000
	most := 0
	var breed func()
	breed = func() { // each event makes two at once
		most = max(most, len(w.queue))
		w.after(0, breed)
		w.after(0, breed)
	}
	breed()
	w.play(Start.Add(time.Second))
	if w.err == nil || !strings.Contains(w.err.Error(), "does not come to rest") {
		t.Errorf("it ended with %v", w.err)
	}
	if most > w.most {
		t.Errorf("%d events waited", most)
	}
}
