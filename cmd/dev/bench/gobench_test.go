package bench

import (
	"slices"
	"strings"
	"testing"
)

func TestGoBenchmarksAreRead(t *testing.T) {
	g, err := parseGoBench(strings.NewReader(`goos: linux
cpu: AMD EPYC
BenchmarkSeal-2    	   10000	     16847 ns/op	       295.2 wire-B/op
BenchmarkSeal-2    	   10000	     15000 ns/op	       295.0 wire-B/op
BenchmarkRekey/devices=10/roots=new-16         	      12	  10807162 ns/op	 2.000 entries/op
PASS
ok  	earshot/chat/seal	4.817s
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := g["Seal"]["wire-B/op"]; !slices.Equal(got, []float64{295.2, 295}) {
		t.Errorf("bytes of Seal: %v", got)
	}
	r, err := g.row("Rekey/devices=10/roots=new", "ns/op", 1e6, "rekey", "new keys", "ms")
	if err != nil || r.N != 1 || r.P50 != 10.807162 {
		t.Errorf("row = %+v, %v", r, err)
	}
	if _, err := g.row("Open", "ns/op", 1, "open", "", ""); err == nil {
		t.Error("a benchmark that did not run made a row")
	}
	if _, err := parseGoBench(strings.NewReader("BenchmarkSeal-2 10 fast ns/op")); err == nil {
		t.Error("nonsense was read")
	}
}
