//go:build race

package sim

// slowness is how much longer things may take under the race detector.
const slowness = 20
