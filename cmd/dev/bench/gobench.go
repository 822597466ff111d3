package bench

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// goBench holds what Go benchmarks printed: the samples by name, without the number
// of processors, and by unit, such as ns/op.
type goBench map[string]map[string][]float64

var processors = regexp.MustCompile(`-\d+$`)

// parseGoBench reads the output of go test -bench. Other lines are skipped.
func parseGoBench(r io.Reader) (goBench, error) {
	out := goBench{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// The name, how often it ran, then pairs of a value and its unit.
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
		if out[name] == nil {
			out[name] = map[string][]float64{}
		}
		for i := 2; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q is not of a benchmark: %w", lines.Text(), err)
			}
			out[name][fields[i+1]] = append(out[name][fields[i+1]], v)
		}
	}
	return out, lines.Err()
}

// row makes a row of a benchmark's samples, each divided by so much.
func (g goBench) row(benchmark, from string, by float64, name, what, unit string) (Row, error) {
	samples := g[benchmark][from]
	if len(samples) == 0 {
		return Row{}, fmt.Errorf("no benchmark %s printed its %s", benchmark, from)
	}
	scaled := make([]float64, len(samples))
	for i, v := range samples {
		scaled[i] = v / by
	}
	return row(name, what, unit, scaled), nil
}
