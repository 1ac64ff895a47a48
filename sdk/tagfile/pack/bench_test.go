package pack_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tsrun/sdk/tagfile/pack"
)

// poisson makes n tags at a rate per second.
func poisson(n int, rate float64, seed uint64) []uint64 {
	rng := rand.New(rand.NewPCG(seed, 3))
	tags := make([]uint64, n)
	t := 1e12
	for i := range tags {
		t += rng.ExpFloat64() * 1e12 / rate
		tags[i] = uint64(t)
	}
	return tags
}

// entropy is that of the time between tags of a Poisson source, in bits at 1 ps.
func entropy(rate float64) float64 { return math.Log2(math.E * 1e12 / rate) }

// packAll packs tags as blocks and returns how long each is.
func packAll(tb testing.TB, dst []byte, tags []uint64) ([]byte, []int) {
	tb.Helper()
	var sizes []int
	for part := range slices.Chunk(tags, pack.MaxTags) {
		before := len(dst)
		var err error
		if dst, err = pack.Append(dst, part); err != nil {
			tb.Fatal(err)
		}
		sizes = append(sizes, len(dst)-before)
	}
	return dst, sizes
}

func unpackAll(tb testing.TB, dst []uint64, packed []byte, sizes []int) []uint64 {
	tb.Helper()
	for _, size := range sizes {
		var err error
		if dst, err = pack.Decode(dst, packed[:size]); err != nil {
			tb.Fatal(err)
		}
		packed = packed[size:]
	}
	return dst
}

// BenchmarkPack reports medians of several rounds on one core, and the size
// beside the entropy. As by a reader of files, each block is unpacked into the
// same room.
func BenchmarkPack(b *testing.B) {
	for _, of := range []struct {
		rate float64
		step uint64 // ps
	}{{1e5, 1}, {1e6, 1}, {1e7, 1}, {1e5, 100}, {1e5, 2000}} {
		name := fmt.Sprintf("%.0fkcps", of.rate/1e3)
		if of.step > 1 {
			name += fmt.Sprintf("-%dps", of.step)
		}
		b.Run(name, func(b *testing.B) {
			tags := inSteps(64*pack.MaxTags, of.rate, of.step, 0, 1)
			packed, sizes := packAll(b, nil, tags)
			if !slices.Equal(tags, unpackAll(b, nil, packed, sizes)) {
				b.Fatal("tags come back different")
			}
			room := make([]uint64, 0, pack.MaxTags)
			var encode, decode []float64
			for b.Loop() {
				for range 9 {
					begin := time.Now()
					packAll(b, packed[:0], tags)
					middle := time.Now()
					rest := packed
					for i := range sizes {
						unpackAll(b, room, rest, sizes[i:i+1])
						rest = rest[sizes[i]:]
					}
					end := time.Now()
					encode = append(encode, middle.Sub(begin).Seconds())
					decode = append(decode, end.Sub(middle).Seconds())
				}
			}
			b.ReportMetric(float64(len(tags))/median(encode)/1e6, "Mtags/s-encode")
			b.ReportMetric(float64(len(tags))/median(decode)/1e6, "Mtags/s-decode")
			b.ReportMetric(8*float64(len(packed))/float64(len(tags))/entropy(of.rate*float64(of.step)), "size/entropy")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}
