package catchup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestTheSameInputsGiveTheSameEffects(t *testing.T) {
	play := func() (out []string) {
		n := newNode(1, 5)
		rng := rand.New(rand.NewPCG(9, 9))
		now := noon
		for range 2000 {
			now = now.Add(time.Duration(rng.IntN(500)) * time.Millisecond)
			d := peer(byte(2 + rng.IntN(20)))
			var in Input
			switch rng.IntN(6) {
			case 0:
				in = PeerUp{Device: d}
			case 1:
				in = Heard{Device: d, Have: have(rng.Uint64N(4))}
			case 2:
				in = Ended{Device: d, Asked: true, Received: rng.IntN(3)}
			case 3:
				n.set = rng.Uint64N(4)
				in = Lost{Device: d}
			case 4:
				in = Joined{}
			default:
				in = Tick{}
			}
			out = append(out, fmt.Sprintf("%T %v %v", in, n.Handle(now, in), n.NextTick()))
		}
		return out
	}
	if !slices.Equal(play(), play()) {
		t.Error("two runs differ")
	}
}
