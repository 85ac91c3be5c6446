"""Files derived from media: thumbnails, images as WebP, posters and previews of videos, waveforms of voice.

They lie in `derived/`, outside of the digest, and can be made again from the media at any time. Pillow and PyAV do the
work, in child processes with limits of memory and time; this process never opens a media file to decode it.
"""
