package catalogue

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// Parts of a comparison, in the order in which they stand.
const (
	PartCondition = "condition"
	PartRecipe    = "recipe"
	PartPrograms  = "programs"
	PartDevices   = "devices"
	PartResults   = "results"
)

var parts = []string{PartCondition, PartRecipe, PartPrograms, PartDevices, PartResults}

// Difference is one fact that two runs have differently. A and B are text, numbers,
// bool, or nil where a run has no such value.
type Difference struct {
	Part string `json:"part"`
	Path string `json:"path"` // of the recipe as it was resolved, or of the manifest
	A    any    `json:"a"`
	B    any    `json:"b"`
	// Change is B minus A where both are numbers, Deviations the same in standard
	// deviations of it, where the runs state those of both.
	Change     quantity.Number `json:"change"`
	Deviations quantity.Number `json:"deviations"`
}

// Comparison is what differs between two runs.
type Comparison struct {
	A           string       `json:"a"` // the run directories
	B           string       `json:"b"`
	Differences []Difference `json:"differences"`
}

// said is what one run says, by part.
type said map[string]facts

// partOf says to which part a path of the manifest belongs; "" is none: it is of that
// run alone, or follows from others.
var partOf = []struct {
	path *regexp.Regexp
	part string
}{
	{regexp.MustCompile(`^condition\.`), PartCondition},
	{regexp.MustCompile(`^(tsrun|nodes\.[^.]+\.version)$`), PartPrograms},
	{regexp.MustCompile(`^nodes\.[^.]+\.(controllers|sinks)\.[^.]+\.(driver|sink|version|sha256)$`), PartPrograms},
	{regexp.MustCompile(`^nodes\.[^.]+\.hostname$`), PartDevices},
	{regexp.MustCompile(`^nodes\.[^.]+\.controllers\.[^.]+\.device\.`), PartDevices},
	{regexp.MustCompile(`^nodes\.[^.]+\.channels\.[^.]+\.(tags|rate_hz|lost)$`), PartResults},
	{regexp.MustCompile(`^results\.`), PartResults},
}

// read takes what is compared from a run directory.
func read(dir string) (said, error) {
	m, r, err := run.ReadRun(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	all, err := factsOf(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	s := said{}
	for _, part := range parts {
		s[part] = facts{}
	}
	if err := s[PartRecipe].add("", r); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for path, value := range all {
		for _, p := range partOf {
			if p.path.MatchString(path) {
				s[p.part][path] = value
				break
			}
		}
	}
	return s, nil
}

// Compare says what differs between two run directories. Times of day, process
// numbers, addresses, segments and sums of files are those of one run alone, and left out.
func Compare(a, b string) (Comparison, error) {
	c := Comparison{A: a, B: b, Differences: []Difference{}}
	saidA, err := read(a)
	if err != nil {
		return c, err
	}
	saidB, err := read(b)
	if err != nil {
		return c, err
	}
	for _, part := range parts {
		of, other := saidA[part], saidB[part]
		paths := maps.Clone(of)
		maps.Copy(paths, other)
		for _, path := range slices.SortedFunc(maps.Keys(paths), byNumber) {
			if equal(of[path], other[path]) {
				continue
			}
			d := Difference{Part: part, Path: path, A: of[path], B: other[path], Change: quantity.None(), Deviations: quantity.None()}
			d.measure(of, other)
			c.Differences = append(c.Differences, d)
		}
	}
	return c, nil
}

// equal compares two values; numbers may be written differently.
func equal(a, b any) bool {
	x, ok := a.(json.Number)
	y, is := b.(json.Number)
	if ok && is {
		p, q := exact(x.String()), exact(y.String())
		if p != nil && q != nil {
			return p.Cmp(q) == 0
		}
	}
	return a == b
}

// byNumber orders paths; the elements of a list have the order of the list.
func byNumber(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		switch {
		case as[i] == bs[i]:
		case errX == nil && errY == nil && x != y:
			return x - y
		default:
			return strings.Compare(as[i], bs[i])
		}
	}
	return len(as) - len(bs)
}

// measure enters by how much two numbers differ.
func (d *Difference) measure(of, other facts) {
	a, okA := d.A.(json.Number)
	b, okB := d.B.(json.Number)
	if !okA || !okB {
		return
	}
	x, y := exact(a.String()), exact(b.String())
	if x == nil || y == nil {
		return
	}
	change, _ := y.Sub(y, x).Float64()
	d.Change = quantity.Number(change)
	sdA, sdB := deviation(of, d.Path), deviation(other, d.Path)
	if sd := math.Hypot(sdA, sdB); sd > 0 {
		d.Deviations = quantity.Number(change / sd)
	}
}

// units are what keys of results end in; the key of a deviation has sd before it.
var units = []string{"_ps", "_ppb", "_hz", "_s"}

// DeviationPath is where results have the standard deviation of a value.
func DeviationPath(path string) string {
	for _, unit := range units {
		if before, ok := strings.CutSuffix(path, unit); ok {
			return before + "_sd" + unit
		}
	}
	return path + "_sd"
}

// deviation is the standard deviation that a run states of a value; NaN where it states none.
func deviation(f facts, path string) float64 {
	number, ok := f[DeviationPath(path)].(json.Number)
	if !ok {
		return math.NaN()
	}
	sd, err := number.Float64()
	if err != nil || sd < 0 {
		return math.NaN()
	}
	return sd
}

// Without gives the differences of all parts but those named.
func (c Comparison) Without(part ...string) []Difference {
	return slices.DeleteFunc(slices.Clone(c.Differences), func(d Difference) bool { return slices.Contains(part, d.Part) })
}

// Main gives the differences that stand for the others: of results not those within
// lists and alignments, whose tables say more, and not those of deviations.
func (c Comparison) Main() []Difference {
	stated := map[string]bool{}
	for _, d := range c.Differences {
		stated[DeviationPath(d.Path)] = true
	}
	return slices.DeleteFunc(slices.Clone(c.Differences), func(d Difference) bool {
		return d.Part == PartResults && (strings.HasPrefix(d.Path, "results.") && strings.Count(d.Path, ".") > 2 || stated[d.Path])
	})
}

// Repeats gives the recipe of a run that repeats it, after a look whether it is still
// as the run left it.
func Repeats(dir string) (string, error) {
	m, err := run.ReadManifest(dir)
	if err != nil {
		return "", err
	}
	if m.Recipe.Repeats == "" {
		return "", fmt.Errorf("%s has no recipe that repeats the run: an earlier release made it; run the one in %s", dir, filepath.Join(dir, run.RecipeDir))
	}
	proven, err := run.ProveFile(dir, m.Recipe.Repeats)
	if err != nil {
		return "", err
	}
	if !proven && !m.Ended.IsZero() {
		return "", fmt.Errorf("%s in %s is not as the run left it: %s has another sum, or none; tsrun verify says more", m.Recipe.Repeats, dir, run.SumsFile)
	}
	return filepath.Join(dir, filepath.FromSlash(m.Recipe.Repeats)), nil
}
