package align

// breakFile has the file take no more, as on a full disk.
func breakFile(h *held) {
	if h.file != nil {
		h.file.file.Close()
	}
}
