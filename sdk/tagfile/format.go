// Package tagfile reads and writes files of time tags, those of tsrun and those
// of other instruments.
//
//	[Table], [Formats]              what there is: names, suffixes, abilities
//	[Open], [OpenSegments]          one channel, piece by piece, in bounded memory
//	[ReadAll], [ReadRecording]      a whole file, sorted, in memory
//	[Scan]                          what a file holds: [Info] with its facts
//	[WriteFile], [NewEncoder]       one channel; the encoder for who owns the file
//	[Convert]                       any format to any that can be written
//
// A format is one line of a table (format.go) and one file of code: a source
// that yields tags in file order and an encoder that makes bytes of them. What
// is common lies between: order.go sorts what is slightly out of order, info.go
// counts, writer.go makes a file appear only when it is whole.
//
// docs/files.md describes every format, docs/why/formats.md byte by byte.
package tagfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// The file formats.
const (
	Bin    = "bin"    // little-endian u64 ps, nothing else; one channel
	Txt    = "txt"    // a line "channel;ps" per tag
	Csv    = "csv"    // a line "channel,ps", then one like it per tag
	Tags   = "tags"   // tsrun's compact blocks with checksums and an index
	QuTAG  = "qutag"  // qutools quTAG binary, ten bytes a tag
	QuTAG5 = "qutag5" // qutools quTAG compressed, five bytes a tag
	PTU    = "ptu"    // PicoQuant unified file, T2 or T3
	// The files of PicoQuant's devices and Becker & Hickl's modules before PTU; read only.
	PicoHarp  = "picoharp"  // .pt2, .pt3
	HydraHarp = "hydraharp" // .ht2, .ht3
	SPC       = "spc"       // .spc of SPC-130 to SPC-180 and SPC-830, FIFO mode
	A0        = "a0"        // S-Fifteen, two lines of eight hexadecimal digits, low half first
	A1        = "a1"        // S-Fifteen, 64-bit words
	A2        = "a2"        // S-Fifteen, lines of sixteen hexadecimal digits
	A1X       = "a1x"       // a1 with its halves swapped
	Swabian   = "swabian"   // Swabian Instruments dump, sixteen bytes a tag
	NPY       = "npy"       // an array of numpy
	NPZ       = "npz"       // an archive of arrays of numpy
	IDQ       = "idq"       // ID Quantique, binary with an index: sixteen bytes a tag
	IDQText   = "idqtxt"    // ID Quantique, lines "ps" or "ps;index"
)

// OnlyChannel asks for the tags of a file that holds one channel; with it, a
// file of several channels is an error that says so.
const OnlyChannel = math.MinInt32

// binChannel is the channel number of files that carry none.
const binChannel = 1

// Format is what is known of one file format.
type Format struct {
	Name     string
	Suffixes []string // of file names, with the dot; a suffix may belong to several formats
	About    string   // one line
	// OneChannel says that a file holds no channel numbers.
	OneChannel bool
	// Resolution is the finest step of time in ps; 0 when each file says its own.
	Resolution float64

	reorder uint64                            // ps: how far back tags are sorted; 0: as usual
	signed  bool                              // times can be below 0
	magic   string                            // how every file begins; "" when they begin anyhow
	more    func(start []byte) bool           // says whether what follows the magic suits the format too; nil: it does
	open    func(f *file) (source, error)     // tags in file order; nil for tags, which holds each channel by itself
	encoder func(o encoding) (encoder, error) // nil for formats that are only read
}

// registry is the one table of formats: help, errors and documentation come
// from it.
func registry() []Format {
	return []Format{
		{Name: Bin, Suffixes: []string{".bin"}, About: "64-bit little-endian ps, one channel",
			OneChannel: true, Resolution: 1, open: openBin, encoder: newBinEncoder},
		{Name: Txt, Suffixes: []string{".txt"}, About: "a line CHANNEL;PS per tag",
			Resolution: 1, open: openTxt, encoder: newTxtEncoder},
		{Name: Csv, Suffixes: []string{".csv"}, About: "a line CHANNEL,PS per tag, with a heading",
			Resolution: 1, magic: csvHeader, open: openCsv, encoder: newCsvEncoder},
		{Name: Tags, Suffixes: []string{".tags"}, About: "tsrun's compact blocks, with checksums and an index",
			Resolution: 1, magic: tagsMagic, encoder: newTagsEncoder},
		{Name: QuTAG, Suffixes: []string{".qutag"}, About: "qutools quTAG binary, 10 bytes a tag",
			Resolution: 1, magic: quTAGMagic, open: openQuTAG, encoder: newQuTAGEncoder},
		{Name: QuTAG5, Suffixes: []string{".qutag5"}, About: "qutools quTAG compressed, 5 bytes a tag",
			Resolution: 1, open: openQuTAG5, encoder: newQuTAG5Encoder},
		{Name: PTU, Suffixes: []string{".ptu", ".timeres"}, About: "PicoQuant T2 and T3; written as generic T2",
			magic: ptuMagic, open: openPTU, encoder: newPTUEncoder},
		{Name: PicoHarp, Suffixes: []string{".pt2", ".pt3"}, About: "PicoHarp 300 before PTU, T2 and T3; read only",
			magic: picoHarpMagic, open: openPicoHarp},
		{Name: HydraHarp, Suffixes: []string{".ht2", ".ht3"}, About: "HydraHarp 400 before PTU, T2 and T3; read only",
			magic: hydraHarpMagic, open: openHydraHarp},
		{Name: SPC, Suffixes: []string{".spc"}, About: "Becker & Hickl SPC-130 to SPC-180 and SPC-830, FIFO; read only",
			open: openSPC},
		fifteenFormat(A0, "lines of 8 hexadecimal digits"),
		fifteenFormat(A1, "64-bit words"),
		fifteenFormat(A2, "lines of 16 hexadecimal digits"),
		fifteenFormat(A1X, "a1 with halves swapped"),
		{Name: Swabian, Suffixes: []string{".swabian", ".dump"}, About: "Swabian Instruments dump, 16 bytes a tag",
			Resolution: 1, signed: true, open: openSwabian, encoder: newSwabianEncoder},
		{Name: NPY, Suffixes: []string{".npy"}, About: "numpy array of times, or of channels and times",
			Resolution: 1, signed: true, magic: npyMagic, open: openNPY, encoder: newNPYEncoder},
		{Name: NPZ, Suffixes: []string{".npz"}, About: "numpy archive, an array of times for each channel",
			Resolution: 1, signed: true, magic: zipMagic, more: isNPZ, open: openNPZ, encoder: newNPZEncoder},
		{Name: IDQ, Suffixes: []string{".idq"}, About: "ID Quantique binary with index, 16 bytes a tag, one channel",
			OneChannel: true, Resolution: 1, open: openIDQ, encoder: newIDQEncoder},
		{Name: IDQText, Suffixes: []string{".idqtxt"}, About: "ID Quantique ascii, a line PS or PS;INDEX per tag, one channel",
			OneChannel: true, Resolution: 1, open: openIDQText, encoder: newIDQTextEncoder},
	}
}

// begins says whether a file that begins so is of the format.
func (f Format) begins(start []byte) bool {
	return f.magic != "" && bytes.HasPrefix(start, []byte(f.magic)) && (f.more == nil || f.more(start))
}

// Table returns every format there is. All can be read.
func Table() []Format { return registry() }

// Writable says whether files of the format can be written.
func (f Format) Writable() bool { return f.encoder != nil }

// written returns the names of the formats that can be written.
func written() (names []string) {
	for _, f := range registry() {
		if f.Writable() {
			names = append(names, f.Name)
		}
	}
	return names
}

// Formats returns the names of all formats.
func Formats() []string {
	var names []string
	for _, f := range registry() {
		names = append(names, f.Name)
	}
	return names
}

// find returns the format of a name.
func find(name string) (Format, bool) {
	all := registry()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return all[i], true
}

func list(names []string) string { return strings.Join(names, ", ") }

// nameFormat says where a user names the format of a file that is read.
const nameFormat = "--format"

// foreign is a kind of file that others write and that is not read. It is told
// by how it begins or, where that says nothing, by its name.
type foreign struct {
	magic    string
	suffixes []string
	is       string // "it is …"
	do       string // what the user can do
	// more says whether what follows a short magic number suits it too: times in
	// binary begin with any few bytes, now and then. nil: the number is enough.
	more func(start []byte) bool
}

// begins says whether a file that begins so is of the kind.
func (k *foreign) begins(start []byte) bool {
	return k.magic != "" && bytes.HasPrefix(start, []byte(k.magic)) && (k.more == nil || k.more(start))
}

// isGzip checks the header of RFC 1952, section 2.3: the only method, flags that are
// not reserved, and what a compressor says of its effort and its system.
func isGzip(start []byte) bool {
	return len(start) >= 10 && start[2] == 8 && start[3]&0xe0 == 0 && (start[8] == 0 || start[8] == 2 || start[8] == 4) && (start[9] <= 13 || start[9] == 255)
}

// isZip checks that the first member was written by a known version: a low number, of 2 bytes.
func isZip(start []byte) bool { return len(start) >= 6 && start[4] < 64 && start[5] == 0 }

func isOtherZip(start []byte) bool { return isZip(start) && !isNPZ(start) }

// isNPZ checks that the first member of an archive is an array of numpy.
func isNPZ(start []byte) bool {
	const name = 30
	if len(start) < name || !isZip(start) {
		return false
	}
	long := int(binary.LittleEndian.Uint16(start[26:]))
	return long <= len(start)-name && strings.HasSuffix(string(start[name:name+long]), npySuffix)
}

// isParquet checks that a page of columns follows: its first field, a number.
func isParquet(start []byte) bool { return len(start) >= 5 && start[4] == 0x15 }

// isBzip2 checks the size of blocks, a digit, and how each block begins.
func isBzip2(start []byte) bool {
	return len(start) >= 10 && start[3] >= '1' && start[3] <= '9' && (string(start[4:10]) == "1AY&SY" || string(start[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

// foreigners are the kinds that people have in place of a file of tags. What is
// only told by name stands last.
var foreigners = []foreign{
	{"TimeHarp 200", []string{".t3r", ".thd"}, "a file of PicoQuant's TimeHarp 200", "read it by the maker's demo programs or phconvert and write the times, whole ps, by numpy.save: .npy is read", nil},
	{"PQHISTO", []string{".phu"}, "a file of histograms of PicoQuant's", "there are no time tags in it; record in mode T2 or T3, which gives a .ptu", nil},
	{"PQRESLT", []string{".pqres"}, "a file of results of PicoQuant's", "there are no time tags in it; take the .ptu beside it", nil},
	{"PQCHECK", []string{".pck"}, "a file of PicoQuant's own", "there are no time tags in it; take the .ptu beside it", nil},
	{"PQCOMNT", []string{".pco"}, "a file of comments of PicoQuant's", "there are no time tags in it; take the .ptu beside it", nil},
	{"PQDEFLT", []string{".pfs", ".pus"}, "a file of settings of PicoQuant's", "there are no time tags in it; take the .ptu beside it", nil},
	{"\x89HDF\r\n\x1a\n", []string{".h5", ".hdf5", ".hdf"}, "an HDF5 file", "read it by h5py and write the times, whole ps, by numpy.save: .npy is read", nil},
	{"PAR1", []string{".parquet"}, "a Parquet file", "it is only written; read it by pandas or pyarrow and write the times, whole ps, by numpy.save: .npy is read", isParquet},
	{"SITT", []string{".ttbin"}, "a file of Swabian's own", "let the Time Tagger's library write a dump of it (its class Dump): format swabian is read", nil},
	{"\x1f\x8b", []string{".gz"}, "compressed by gzip", "unpack it first", isGzip},
	{zipMagic, []string{".zip"}, "a zip archive", "unpack it first; the archives of numpy.savez are read as they are, with --format npz where the name does not tell", isOtherZip},
	{"\xfd7zXZ\x00", []string{".xz"}, "compressed by xz", "unpack it first", nil},
	{"\x28\xb5\x2f\xfd", []string{".zst"}, "compressed by zstd", "unpack it first", nil},
	{"BZh", []string{".bz2"}, "compressed by bzip2", "unpack it first", isBzip2},
	{"", []string{".sdt"}, "named like a file of curves of Becker & Hickl's", "there are no time tags in it; record in FIFO mode, which gives a .spc", nil},
	{"", []string{".hhd", ".phd"}, "named like a file of histograms of PicoQuant's", "there are no time tags in it; record in mode T2 or T3, which gives a .ptu", nil},
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
		if kind.begins(start) || kind.magic == "" && slices.Contains(kind.suffixes, suffix) {
			return f.errorf("it is %s, which is not read; %s", kind.is, kind.do)
		}
	}
	if ft.Name == "" || ft.magic != "" {
		return nil
	}
	for _, other := range registry() {
		mayBegin := other.Name == QuTAG && ft.Name == QuTAG5 // with the same header
		if !mayBegin && other.begins(start) {
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
