import "@github/clipboard-copy-element";
import "@github/tab-container-element";
