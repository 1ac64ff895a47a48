package tagfile

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// nameFormat says where a user names the format of a file that is read.
const nameFormat = "--format"

// foreign is a kind of file that others write and that is not read. It is told
// by how it begins or, where that says nothing, by its name.
type foreign struct {
	magic    string
	suffixes []string
	is       string // "it is …"
	do       string // what the user can do
}

// foreigners are the kinds that people have in place of a file of tags. What is
// only told by name stands last.
var foreigners = []foreign{
	{"TimeHarp 200", []string{".t3r", ".thd"}, "a file of PicoQuant's TimeHarp 200", "read it by the maker's demo programs or phconvert and write the times, whole ps, by numpy.save: .npy is read"},
	{"PQHISTO", []string{".phu"}, "a file of histograms of PicoQuant's", "there are no time tags in it; record in mode T2 or T3, which gives a .ptu"},
	{"PQRESLT", []string{".pqres"}, "a file of results of PicoQuant's", "there are no time tags in it; take the .ptu beside it"},
	{"PQCHECK", []string{".pck"}, "a file of PicoQuant's own", "there are no time tags in it; take the .ptu beside it"},
	{"PQCOMNT", []string{".pco"}, "a file of comments of PicoQuant's", "there are no time tags in it; take the .ptu beside it"},
	{"PQDEFLT", []string{".pfs", ".pus"}, "a file of settings of PicoQuant's", "there are no time tags in it; take the .ptu beside it"},
	{"\x89HDF\r\n\x1a\n", []string{".h5", ".hdf5", ".hdf"}, "an HDF5 file", "read it by h5py and write the times, whole ps, by numpy.save: .npy is read"},
	{"SITT", []string{".ttbin"}, "a file of Swabian's own", "let the Time Tagger's library write a dump of it (its class Dump): format swabian is read"},
	{"\x1f\x8b", []string{".gz"}, "compressed by gzip", "unpack it first"},
	{"PK\x03\x04", []string{".zip", ".npz"}, "a zip archive", "unpack it first; the .npy files in an .npz are read"},
	{"\xfd7zXZ\x00", []string{".xz"}, "compressed by xz", "unpack it first"},
	{"\x28\xb5\x2f\xfd", []string{".zst"}, "compressed by zstd", "unpack it first"},
	{"BZh", []string{".bz2"}, "compressed by bzip2", "unpack it first"},
	{"", []string{".sdt"}, "named like a file of curves of Becker & Hickl's", "there are no time tags in it; record in FIFO mode, which gives a .spc"},
	{"", []string{".hhd", ".phd"}, "named like a file of histograms of PicoQuant's", "there are no time tags in it; record in mode T2 or T3, which gives a .ptu"},
}

// foreignTo finds what a file is when it is none of the format that is to be
// read: a file of others, or of another format that says so at its beginning.
// Formats without a magic number would give numbers for any bytes.
func (f *file) foreignTo(ft Format, suffix string) error {
	start, err := f.head(64)
	if err != nil || ft.magic != "" && bytes.HasPrefix(start, []byte(ft.magic)) {
		return err
	}
	for _, kind := range foreigners {
		if kind.magic != "" && bytes.HasPrefix(start, []byte(kind.magic)) ||
			kind.magic == "" && slices.Contains(kind.suffixes, suffix) {
			return f.errorf("it is %s, which is not read; %s", kind.is, kind.do)
		}
	}
	if ft.Name == "" || ft.magic != "" {
		return nil
	}
	for _, other := range registry() {
		mayBegin := other.Name == QuTAG && ft.Name == QuTAG5 // with the same header
		if other.magic != "" && !mayBegin && bytes.HasPrefix(start, []byte(other.magic)) {
			return f.errorf("it begins as a file of format %s does, not of %s; name %s with %s", other.Name, ft.Name, other.Name, nameFormat)
		}
	}
	if looksText(start) && slices.Contains([]string{Bin, QuTAG5, A1, A1X, Swabian, IDQ, SPC}, ft.Name) {
		return f.errorf("it is text, and format %s is not; name another with %s: one of %s", ft.Name, nameFormat, list([]string{Txt, Csv, A0, A2, IDQText}))
	}
	if looksQuTAG(start) {
		return f.errorf("it looks like a file of a quTAG without its header, and not like format %s; name %s with %s", ft.Name, QuTAG, nameFormat)
	}
	return nil
}

// foreignBySuffix is the kind of files named so; nil for other names.
func foreignBySuffix(suffix string) *foreign {
	for i := range foreigners {
		if slices.Contains(foreigners[i].suffixes, suffix) {
			return &foreigners[i]
		}
	}
	return nil
}

// looksText says whether the beginning of a file is lines of characters, which
// times in binary are not: their high bytes are 0.
func looksText(start []byte) bool {
	const least = 16
	ends := 0
	for _, c := range start {
		if c == '\n' {
			ends++
		} else if c != '\r' && c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return len(start) >= least && ends > 0
}

// looksQuTAG says whether the beginning of a file is records of a quTAG without
// a header: inputs have small numbers, and times of a device that has run for a
// second or more follow each other within a second.
func looksQuTAG(start []byte) bool {
	const inputs, second, few = 64, 1_000_000_000_000, 4
	n := len(start) / quTAGRecord
	before := uint64(0)
	for i := range n {
		record := start[i*quTAGRecord:]
		t := binary.LittleEndian.Uint64(record)
		if binary.LittleEndian.Uint16(record[8:]) > inputs || t < second || t > 1<<63 {
			return false
		}
		if i > 0 && max(t, before)-min(t, before) > second {
			return false
		}
		before = t
	}
	return n >= few
}

// noFormats are names that were taken for formats, and what is meant.
var noFormats = map[string]string{
	"a0x": `units of S-Fifteen swap halves in binary files only (a1x); lines of 8 digits are a0`,
	"pt2": inHeader(PicoHarp), "pt3": inHeader(PicoHarp), "ht2": inHeader(HydraHarp), "ht3": inHeader(HydraHarp),
	"a2x": `units of S-Fifteen swap halves in binary files only (a1x); lines of 16 digits are a2`,
}

func inHeader(format string) string {
	return "such files are of format " + format + ", and their header tells T2 from T3"
}

// unknownFormat says what is wrong with the name of a format.
func unknownFormat(name string) string {
	if why, known := noFormats[name]; known {
		return "there is no format " + name + ": " + why
	}
	return "unknown format \"" + name + "\"; known are " + list(Formats())
}

// untold says that a name does not tell the format.
func untold(suffix string) string {
	if why, known := noFormats[strings.TrimPrefix(suffix, ".")]; known && suffix != "" {
		return "there is no format " + suffix[1:] + ": " + why
	}
	return "its name does not tell the format"
}
