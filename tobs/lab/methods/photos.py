"""`photos.*`: the pictures that people have set as theirs, drawn from the photos of this world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from tobs.lab.peers import marked_of, user_of
from tobs.lab.rpc import Call, RpcFault, method

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject

    from tobs.lab.world import FileSpec

MAX_PHOTOS = 100


@method(functions.photos.GetUserPhotosRequest)
def get_user_photos(call: Call) -> TLObject:
    """A user's profile photos, the present one first."""
    request, world = call.request, call.service.world
    user_id = user_of(call, request.user_id)
    every: list[Any] = list(world.ties.photos.get(user_id, ()))
    older = [photo for photo in every if not request.max_id or photo.id < request.max_id]
    start = max(0, request.offset)
    page = older[start : start + max(1, min(request.limit or MAX_PHOTOS, MAX_PHOTOS))]
    users = [world.users[user_id]]
    if len(page) == len(every):
        return types.photos.Photos(page, users)
    return types.photos.PhotosSlice(len(every), page, users)


def profile_photo(call: Call, location: types.InputPeerPhotoFileLocation) -> FileSpec:
    """The file of a user's profile photo, which needs no reference; the small one unless `big` is asked for."""
    world = call.service.world
    photos = world.ties.photos.get(marked_of(call, location.peer), ())
    spec = world.file(location.photo_id, "" if location.big else "m")
    if spec is None or all(photo.id != location.photo_id for photo in photos):
        raise RpcFault("LOCATION_INVALID")
    return spec
