package receipt

import (
	"fmt"
	"testing"
	"time"

	"earshot/chat/wire"
)

// BenchmarkARoomOfTenThatTalks is what a second of talk costs all together, beside the
// network: ten devices, all connected, that say 20 messages.
func BenchmarkARoomOfTenThatTalks(b *testing.B) {
	const devices, perSecond = 10, 20
	var names []string
	for i := range devices {
		names = append(names, fmt.Sprint("person ", i))
	}
	n := newNet(b, names...)
	var seqs [devices]uint64
	for a := range devices {
		for c := range a {
			n.link(a, c, true)
		}
	}
	n.settle()
	n.tells, n.bytes = 0, 0
	said := 0
	start := n.now
	for b.Loop() {
		for range perSecond {
			author := said % devices
			seqs[author]++
			log := logOf(fmt.Sprint(author, " writes this"))
			for _, x := range n.nodes {
				if x.at != author {
					x.handle(Holds{den, []Mark{{PrefixOf(log), seqs[author]}}})
				}
			}
			n.deliverAll()
			said++
			n.now = start.Add(time.Duration(said) * time.Second / perSecond)
			for _, x := range n.nodes {
				x.tick()
			}
		}
	}
	deliveries := float64(said * (devices - 1))
	b.ReportMetric(float64(b.Elapsed().Microseconds())/deliveries, "us/delivery")
	b.ReportMetric(float64(n.bytes)/deliveries, "B/delivery")
	b.ReportMetric(float64(n.tells)/deliveries, "frames/delivery")
}

// size is what a frame takes before it is encrypted.
func (x *node) frameSize(t Tell) int {
	f := wire.Receipt{Tag: make([]byte, 16), Cover: make([]byte, 8)}
	for i := range t.Statements {
		s := &t.Statements[i]
		w := wire.Statement{Device: s.Device[:], Kind: uint8(s.Kind), Version: s.Version, Marks: s.Marks, Sig: s.Sig[:]}
		if t.Covered {
			w.Device = []byte{}
		}
		f.Statements = append(f.Statements, w)
	}
	return len(wire.EncodeFrame(f))
}
