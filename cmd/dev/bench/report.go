package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// A Report is what one run of the measurements found.
type Report struct {
	At     time.Time `json:"at"`
	Commit string    `json:"commit"` // of the sources, with "+" behind it if they were changed
	Go     string    `json:"go"`
	Kernel string    `json:"kernel"`
	CPUs   int       `json:"cpus"`
	Rows   []Row     `json:"rows"`
}

// A Row is one thing measured. Of a single value P50 and Max are that value.
type Row struct {
	Name string  `json:"name"` // stable, for comparing reports
	What string  `json:"what"`
	Unit string  `json:"unit"`
	N    int     `json:"n"` // samples
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Aim  *Aim    `json:"aim,omitempty"`
	Note string  `json:"note,omitempty"`
}

// An Aim is what a row should reach.
type Aim struct {
	Of    string  `json:"of"`    // which number of the row: "p50" or "max"
	Below float64 `json:"below"` // in the row's unit; 0 where it is to be above
	Above float64 `json:"above,omitempty"`
	Met   bool    `json:"met"`
}

// row makes a row of samples.
func row(name, what, unit string, samples []float64) Row {
	r := Row{Name: name, What: what, Unit: unit, N: len(samples)}
	if len(samples) > 0 {
		r.P50, r.P99, r.Max = quantile(samples, 0.5), quantile(samples, 0.99), slices.Max(samples)
	}
	return r
}

// single makes a row of one value.
func single(name, what, unit string, value float64) Row {
	return row(name, what, unit, []float64{value})
}

// noted adds a remark.
func (r Row) noted(format string, args ...any) Row {
	r.Note = fmt.Sprintf(format, args...)
	return r
}

// p50Below and maxBelow say what the row is aimed at.
func (r Row) p50Below(limit float64) Row {
	r.Aim = &Aim{Of: "p50", Below: limit, Met: r.N > 0 && r.P50 < limit}
	return r
}

// p50Above says the same of what should be much.
func (r Row) p50Above(least float64) Row {
	r.Aim = &Aim{Of: "p50", Above: least, Met: r.N > 0 && r.P50 > least}
	return r
}

func (r Row) maxBelow(limit float64) Row {
	r.Aim = &Aim{Of: "max", Below: limit, Met: r.N > 0 && r.Max < limit}
	return r
}

// quantile is the smallest sample that at least the share q of all samples does
// not exceed. There must be samples.
func quantile(samples []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

// milliseconds turns durations into samples.
func milliseconds(ds []time.Duration) []float64 {
	out := make([]float64, len(ds))
	for i, d := range ds {
		out[i] = float64(d) / float64(time.Millisecond)
	}
	return out
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, commit %s, %s, Linux %s, %d CPUs\n\n", r.At.Format(time.RFC3339), cmp.Or(r.Commit, "unknown"), r.Go, r.Kernel, r.CPUs)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "measured\tunit\tp50\tp99\tmax\tn\taim\t")
	for _, row := range r.Rows {
		p99, most := "", ""
		if row.N > 1 {
			p99, most = number(row.P99), number(row.Max)
		}
		aim := ""
		if row.Aim != nil {
			aim = fmt.Sprintf("%s < %s: ", row.Aim.Of, number(row.Aim.Below))
			if row.Aim.Above > 0 {
				aim = fmt.Sprintf("%s > %s: ", row.Aim.Of, number(row.Aim.Above))
			}
			if row.Aim.Met {
				aim += "met"
			} else {
				aim += "missed"
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", row.What, row.Unit, number(row.P50), p99, most, row.N, aim, row.Note)
	}
	return t.Flush()
}

// WriteJSON writes the report for programs.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

// number writes a value with three significant digits, and whole above 100.
func number(v float64) string {
	if math.Abs(v) >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
