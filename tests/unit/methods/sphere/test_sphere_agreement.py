"""The encoder's last map, learned anew: a person's photos agree, known faces stay as they are."""

import pytest
import torch

from facewright.core.errors import InputError
from facewright.evaluation.identity_metrics import spread
from facewright.methods.sphere.agreement import AgreementSettings, agree
from facewright.methods.sphere.encoder import Decoder, EncoderOutputs, EncoderSettings, SphereEncoder
from facewright.methods.sphere.likeness_start import Examples

SIZES = EncoderSettings(widths=(8, 16), blocks=(0,), shrink=4, features=12, bottleneck=12, hidden=16)
SEEN, PEOPLE, PHOTOS = 28, 30, 5


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def examples(sphere) -> Examples:
    """Half of what is seen is the person's, the other half the photo's."""
    people = torch.arange(PEOPLE).repeat_interleave(PHOTOS)
    person = drawn(PEOPLE, SEEN // 2, seed=1)[people]
    seen = torch.cat([person, drawn(len(people), SEEN // 2, seed=2)], 1)
    known = drawn(300, SEEN, seed=3)
    codes = sphere.deviations * (known @ drawn(SEEN, sphere.dimensions, seed=4)) / SEEN**0.5
    return Examples(seen, people, torch.ones(len(people)), known, codes)


def settled(sphere, examples: Examples, settings: AgreementSettings) -> tuple[SphereEncoder, Decoder]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = SphereEncoder(SIZES)
        torch.nn.init.normal_(encoder.likeness)
    decoder = Decoder.of(sphere.face_model, sphere.deviations, 200.0)
    agree(encoder, examples, decoder, int(sphere.region.sum()), settings)
    return encoder, decoder


def codes_of(encoder: SphereEncoder, decoder: Decoder, seen: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        rest = encoder.heads(seen[:, 12:])
        outputs = EncoderOutputs(encoder.identity(seen[:, :12], seen[:, 12:]), rest)
        return decoder.decode(outputs, SIZES, encoder.mixing).code


def test_photos_of_a_person_agree_and_known_faces_are_met(sphere, examples: Examples) -> None:
    found = {}
    for known in (0.2, 1000.0):
        encoder, decoder = settled(sphere, examples, AgreementSettings(known=known))
        codes = codes_of(encoder, decoder, examples.seen).double().numpy()
        faces = codes_of(encoder, decoder, examples.known)
        far = (faces - examples.codes).square().sum(1).mean() / examples.codes.square().sum(1).mean()
        found[known] = spread(codes, examples.people.numpy()).ratio, float(far)
    assert found[0.2][0] < 0.5
    assert found[0.2][1] < 1
    assert found[1000.0][0] > 2 * found[0.2][0]  # control: what faces alone teach
    assert found[1000.0][1] < found[0.2][1]


def test_more_rounds_bring_a_person_s_photos_nearer(sphere, examples: Examples) -> None:
    ratios = []
    for rounds in (1, 4):
        encoder, decoder = settled(sphere, examples, AgreementSettings(rounds=rounds))
        codes = codes_of(encoder, decoder, examples.seen).double().numpy()
        ratios.append(spread(codes, examples.people.numpy()).ratio)
    assert ratios[1] < ratios[0]


def test_somebody_needs_two_photos(sphere, examples: Examples) -> None:
    alone = Examples(examples.seen[:5], torch.arange(5), torch.ones(5), examples.known, examples.codes)
    with pytest.raises(InputError, match="1 round at least"):
        settled(sphere, examples, AgreementSettings(rounds=0))
    with pytest.raises(InputError, match="two photos"):
        settled(sphere, alone, AgreementSettings())
