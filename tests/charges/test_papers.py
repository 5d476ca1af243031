"""Payment documents, receipts and exports, through both clients, read back by other programs."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest

from cabinet_sdk import AsyncCabinet, Cabinet
from cabinet_sdk.charges import (
    Charge,
    ChargeKind,
    ChargeOrder,
    ChargeStatus,
    ExportFormat,
    ExportTooLarge,
    ItemToPay,
    Payment,
    PaymentId,
    PaymentMethod,
    PaymentNotFound,
    PaymentNotSucceeded,
    PaymentStatus,
)
from cabinet_sdk.errors import InternalError, InvalidValue, PermissionMissing
from cabinet_sdk.types import Inn, Money, Period
from reference_server import Profile, World, pdf
from reference_server.charges import handlers
from reference_server.files import Spool, StoredFile
from reference_server.papers import Column, Document, Section, Sheet, as_pdf, safe_cell
from reference_server.testing import connect as connect_to
from tests.charges.reading import codes_of, facts_of, rows_of_csv, rows_of_workbook, text_of, texts_of
from tests.conftest import Connect

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=HYPERLINK("http://evil.example";"x")')


async def content(
    client: AsyncCabinet, wanted: ExportFormat = ExportFormat.CSV, **filters: Any
) -> bytes:  # Any: whatever filters
    """Export charges and return the file whole."""
    async with await client.charges.export(wanted, **filters) as file:
        return await file.read()


async def document(client: AsyncCabinet, payment: Payment) -> bytes:
    """Return the document of a payment."""
    async with await client.charges.payment_document(payment.id) as file:
        return await file.read()


async def receipt(client: AsyncCabinet, payment: Payment) -> bytes:
    """Return the receipt of a payment."""
    async with await client.charges.receipt(payment.id) as file:
        return await file.read()


@pytest.fixture
def charge(world: World, person: Profile) -> Charge:
    """A fine with a purpose of its own."""
    return world.charges.add(person, Money("1500.00"), purpose="Штраф за превышение скорости")


@pytest.mark.feature("CH-05", "CH-06")
async def test_a_bank_app_reads_the_code_of_a_payment_order(
    client: AsyncCabinet, world: World, person: Profile, charge: Charge
) -> None:
    """The QR code of an awaited transfer has every requisite; a transfer made by it is matched to the payment."""
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER, amount=Money("1000.50"))

    async with await client.charges.payment_document(payment.id) as file:
        assert (file.name, file.media_type) == (f"Платёжное поручение № {payment.number}.pdf", "application/pdf")
        paper = await file.read()

    (code,) = codes_of(paper)
    mark, *pairs = code.split("|")
    said = dict(pair.split("=", 1) for pair in pairs)
    requisites = charge.requisites
    purpose = f"Платёж № {payment.number}. {requisites.purpose}"
    assert mark == "ST00012"
    assert said == {
        "Name": requisites.payee,
        "PersonalAcc": str(requisites.account),
        "BankName": requisites.bank[:45].rstrip(),
        "BIC": str(requisites.bik),
        "CorrespAcc": str(requisites.correspondent_account),
        "Sum": "100050",
        "Purpose": purpose,
        "PayeeINN": str(requisites.payee_inn),
        "PayerINN": str(person.inn),
        "KPP": str(requisites.payee_kpp),
        "DrawerStatus": requisites.payer_status,
        "CBC": str(requisites.kbk),
        "OKTMO": str(requisites.oktmo),
        "UIN": str(charge.uin),
    }
    text = text_of(paper)
    for value in ("1 000,50 ₽", person.name, str(person.inn), requisites.payee, str(requisites.account), purpose):
        assert value in text.replace("\xa0", " ")
    world.charges.receive_transfer(person.inn, Money("1000.50"), purpose=said["Purpose"], payment_order_number="7")
    assert (await client.charges.payment(payment.id)).status is PaymentStatus.SUCCEEDED


@pytest.mark.feature("CH-05", "CH-06")
async def test_several_charges_have_a_code_each_and_are_paid_in_any_order(
    client: AsyncCabinet, world: World, person: Profile, charge: Charge
) -> None:
    """A transfer that names the payment's number and a charge's УИН pays that charge, whichever comes first."""
    other = world.charges.add(person, Money("300.00"))
    payment = await client.charges.pay_several(
        (ItemToPay(charge.id), ItemToPay(other.id)), method=PaymentMethod.BANK_TRANSFER
    )

    first, second = (
        dict(pair.split("=", 1) for pair in code.split("|")[1:]) for code in codes_of(await document(client, payment))
    )

    assert (first["UIN"], first["Sum"]) == (str(charge.uin), "150000")
    assert (second["UIN"], second["Sum"]) == (str(other.uin), "30000")
    world.charges.receive_transfer(
        person.inn, other.due, purpose=second["Purpose"], payment_order_number="8", uin=other.uin
    )
    assert (await client.charges.get(other.id)).status is ChargeStatus.PAID
    assert (await client.charges.get(charge.id)).status is ChargeStatus.NOT_PAID
    world.charges.receive_transfer(
        person.inn, charge.due, purpose=first["Purpose"], payment_order_number="9", uin=charge.uin
    )
    assert (await client.charges.payment(payment.id)).status is PaymentStatus.SUCCEEDED
    world.charges.check_books()


@pytest.mark.feature("CH-06")
async def test_papers_of_a_final_payment_stay_the_same_for_ever(
    client: AsyncCabinet, world: World, charge: Charge
) -> None:
    """What is kept in the archive has the same bytes a year later, and no code that would invite to pay again."""
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)
    awaited = await document(client, payment)
    world.charges.receive_transfer(
        world.profiles.all()[0].inn, charge.due, purpose=payment.number, payment_order_number="10"
    )

    papers = await document(client, payment), await receipt(client, payment)
    world.clock.sleep(365 * 86_400)

    assert (await document(client, payment), await receipt(client, payment)) == papers
    assert codes_of(awaited)
    assert codes_of(papers[0]) == []
    text = text_of(papers[1])
    for value in (f"Чек об оплате № {payment.number}", "Зачислен", charge.purpose, str(charge.uin), "№ 10"):
        assert value in text


def test_a_document_that_is_asked_for_again_is_not_made_again() -> None:
    """Its codes take seconds, and it is asked for piece by piece: what was made is kept as long as it is the same."""
    content = Document(title="Квитанция", about="", sections=(Section(heading="Платёж", fields=(("Сумма", "1"),)),))
    other = attrs.evolve(content, about="от 01.01.2026")

    assert pdf.document(content) is pdf.document(attrs.evolve(content))
    assert pdf.document(other) != pdf.document(content)


@pytest.mark.feature("CH-06")
async def test_there_is_no_receipt_before_the_money(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """A pending or declined payment has a document (квитанция) and no receipt; what is another's has neither."""
    payment = await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    paper = await document(client, payment)
    assert f"Квитанция № {payment.number}" in text_of(paper)
    assert codes_of(paper) == []
    with pytest.raises(PaymentNotSucceeded):
        await receipt(client, payment)
    world.charges.decline(payment.id, "Недостаточно средств")
    assert "Недостаточно средств" in text_of(await document(client, payment))
    with pytest.raises(PaymentNotSucceeded):
        await receipt(client, payment)


@pytest.mark.feature("CH-06")
async def test_papers_of_others_do_not_exist(connect: Connect, world: World, person: Profile, charge: Charge) -> None:
    """Another profile's payment, one that never was, and a missing right."""
    other = world.profiles.add("Петров Пётр Петрович")
    blind = world.profiles.add("Сидоров Сидор Сидорович", permissions=frozenset({"charges.pay"}))
    payment = await connect(person).charges.pay(charge.id, method=PaymentMethod.SBP)

    for payment_id in (payment.id, PaymentId("pay_none")):
        with pytest.raises(PaymentNotFound):
            await connect(other).charges.payment_document(payment_id)
        with pytest.raises(PaymentNotFound):
            await connect(other).charges.receipt(payment_id)
    with pytest.raises(PermissionMissing):
        await connect(blind).charges.export(ExportFormat.CSV)


@pytest.mark.feature("CH-08")
async def test_an_export_has_what_the_list_has(client: AsyncCabinet, world: World, person: Profile) -> None:
    """In all three formats: the same charges, amounts as numbers, days as dates."""
    fine = world.charges.add(
        person, Money("1234567.89"), accrued_on=dt.date(2026, 10, 1), due_on=dt.date(2026, 12, 1), purpose="Ёлки"
    )
    world.charges.add(person, Money("5.00"), kind=ChargeKind.TAX, accrued_on=dt.date(2026, 9, 1))
    world.charges.credit(person, fine, Money("0.01"), payment_order_number="1")
    filters: dict[str, Any] = {"period": Period.month(2026, 10), "kind": ChargeKind.FINE}  # Any: for any parameter

    head, row = rows_of_csv(await content(client, **filters))
    assert dict(zip(head, row, strict=True)) | {
        "Дата начисления": "01.10.2026",
        "Срок оплаты": "01.12.2026",
        "Вид": "Штраф",
        "Назначение": "Ёлки",
        "Статус": "Частично оплачен",
        "Начислено, ₽": "1234567,89",
        "Оплачено, ₽": "0,01",
        "К оплате, ₽": "1234567,88",
        "УИН": str(fine.uin),
        "КБК": str(fine.requisites.kbk),
        "Номер в кабинете": fine.id,
    } == dict(zip(head, row, strict=True))

    titles, cells = rows_of_workbook(await content(client, ExportFormat.XLSX, **filters))
    assert list(titles) == head
    shown = dict(zip(head, cells, strict=True))
    assert shown["Дата начисления"] == dt.datetime(2026, 10, 1)  # noqa: DTZ001  # a cell has no zone
    assert (shown["Начислено, ₽"], shown["К оплате, ₽"]) == (1234567.89, 1234567.88)
    assert (shown["УИН"], shown["Назначение"]) == (str(fine.uin), "Ёлки")

    text = text_of(await content(client, ExportFormat.PDF, **filters)).replace("\xa0", " ")
    for value in (
        person.name,
        "период: 01.10.2026 – 31.10.2026; вид: Штраф",
        "Ёлки",
        "1 234 567,88 ₽",
        "Всего строк: 1",
    ):
        assert value in text


@pytest.mark.feature("CH-08")
@pytest.mark.parametrize("wanted", ExportFormat.members())
async def test_an_export_of_nothing_is_a_file(client: AsyncCabinet, wanted: ExportFormat) -> None:
    """A profile without charges gets the head of the table."""
    whole = await content(client, wanted)

    if wanted == ExportFormat.CSV:
        assert len(rows_of_csv(whole)) == 1
    elif wanted == ExportFormat.XLSX:
        assert len(rows_of_workbook(whole)) == 1
    else:
        assert "Всего строк: 0" in text_of(whole)


@pytest.mark.feature("CH-08")
@pytest.mark.parametrize("wanted", ExportFormat.members())
async def test_the_same_list_makes_the_same_bytes(client: AsyncCabinet, charge: Charge, wanted: ExportFormat) -> None:
    """Otherwise a broken download could not be resumed."""
    assert charge.id
    assert await content(client, wanted) == await content(client, wanted)


@pytest.mark.feature("CH-08")
async def test_a_formula_in_a_text_is_none_in_a_file(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A quote before it tells every spreadsheet that it is text (experiment 96; OWASP ASVS 5.0, 1.2.10)."""
    for day, payload in enumerate(FORMULAS, start=1):
        world.charges.add(
            person, Money("1.00"), purpose=payload, order_number=payload, accrued_on=dt.date(2026, 10, day)
        )
    quoted = [f"'{payload}" for payload in FORMULAS]

    head, *rows = rows_of_csv(await content(client, order=ChargeOrder.OLDEST))
    assert [row[head.index("Назначение")] for row in rows] == quoted
    assert [row[head.index("Номер документа")] for row in rows] == quoted

    _, *cells = rows_of_workbook(await content(client, ExportFormat.XLSX, order=ChargeOrder.OLDEST))
    inside = [str(row[head.index("Назначение")]).replace("_x000D_", "\r") for row in cells]
    assert inside == quoted


def test_plain_texts_stay_as_they_are() -> None:
    """Only the beginning of a text makes a formula of it."""
    assert [safe_cell(text) for text in ("", "a=1", " =1", "№ 1", "1-2")] == ["", "a=1", " =1", "№ 1", "1-2"]


@pytest.mark.feature("CH-08")
async def test_too_much_is_refused(
    client: AsyncCabinet, world: World, person: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit an export says so at once; narrowed, it comes."""
    for day in (1, 2, 3):
        world.charges.add(person, Money("1.00"), accrued_on=dt.date(2026, 10, day))
    monkeypatch.setattr(handlers, "_LONGEST_EXPORT", 2)

    with pytest.raises(ExportTooLarge):
        await content(client)
    assert len(rows_of_csv(await content(client, period=Period(dt.date(2026, 10, 1), dt.date(2026, 10, 2))))) == 3


@pytest.mark.feature("CH-08")
async def test_an_export_tells_how_far_it_is(client: AsyncCabinet, charge: Charge, tmp_path: Path) -> None:
    """Saving tells how many bytes are written, of how many; the file has its Russian name."""
    told: list[tuple[int, int | None]] = []

    async with await client.charges.export(ExportFormat.XLSX) as file:
        saved = await file.save(tmp_path, progress=lambda done, whole: told.append((done, whole)))

    assert saved.name == "Начисления 2026-11-16.xlsx"
    assert told[-1] == (saved.stat().st_size, saved.stat().st_size)
    assert charge.id in {row[-1] for row in rows_of_workbook(saved.read_bytes())}


@pytest.mark.feature("CH-08")
@pytest.mark.parametrize("wanted", ExportFormat.members())
def test_a_long_export_is_never_in_memory(world: World, person: Profile, wanted: ExportFormat, tmp_path: Path) -> None:
    """Eight times as many rows take hardly more memory."""
    with connect_to(world, person) as cabinet:
        _fill(world, person, 250)
        _peak_of_export(cabinet, wanted, tmp_path / "warm")
        small = _peak_of_export(cabinet, wanted, tmp_path / "small")
        _fill(world, person, 1750)
        large = _peak_of_export(cabinet, wanted, tmp_path / "large")

    assert large - small < 1_500_000


def _fill(world: World, person: Profile, number: int) -> None:
    for _ in range(number):
        world.charges.add(person, Money("10.00"), purpose="Штраф за нарушение правил дорожного движения")


def _peak_of_export(cabinet: Cabinet, wanted: ExportFormat, target: Path) -> int:
    tracemalloc.start()
    try:
        with cabinet.charges.export(wanted) as file:
            file.save(target)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.feature("CH-08")
def test_a_table_of_many_pages_has_every_row(world: World, person: Profile, tmp_path: Path) -> None:
    """It has each row once, in order, numbered pages, and its sum; programs that read strictly find nothing wrong."""
    for number in range(120):
        world.charges.add(person, Money("1.00"), purpose=f"Начисление-{number:03}")
    with connect_to(world, person) as cabinet, cabinet.charges.export(ExportFormat.PDF) as file:
        paper = file.read()

    assert facts_of(paper) == {"Title": "Начисления", "Author": "cabinet-sdk", "Producer": "cabinet-sdk"}
    assert b"/Lang(ru-RU)" in paper
    text = text_of(paper)
    assert [text.count(f"Начисление-{number:03}") for number in range(120)] == [1] * 120
    assert text.count("Стр. ") >= 4
    assert "Всего строк: 120" in text
    poppler, qpdf = shutil.which("pdftotext"), shutil.which("qpdf")
    if poppler is None or qpdf is None:
        pytest.skip("the last part needs pdftotext, which poppler-utils has, and qpdf")
    source = tmp_path / "table.pdf"
    source.write_bytes(paper)
    read = subprocess.run([poppler, "-layout", source, "-"], check=True, capture_output=True)
    assert read.stderr == b""
    assert read.stdout.decode().count("Начисление-") == 120
    checked = subprocess.run([qpdf, "--check", source], check=True, capture_output=True)
    assert checked.stderr == b""


def test_a_list_on_paper_is_written_while_it_is_read(tmp_path: Path) -> None:
    """Of a page that is full, nothing is kept but where it is in the file; the pages are all there, in their order."""
    sheet = Sheet[str](title="Список", about="", name="list", columns=(Column("Имя", str, printed=True),))
    rows = [f"строка-{number:04}" for number in range(8000)]
    written: list[int] = []
    kept: list[int] = []

    def read() -> Iterator[str]:
        for number, row in enumerate(rows):
            if number % 1000 == 500:
                written.append(file.tell())
                kept.append(tracemalloc.get_traced_memory()[0])
            yield row

    tracemalloc.start()
    try:
        with (tmp_path / "list.pdf").open("w+b") as file:
            pdf.table(sheet, read(), file)
    finally:
        tracemalloc.stop()

    assert all(later - earlier > 10_000 for earlier, later in pairwise(written))
    assert kept[-1] - kept[1] < 20_000
    pages = texts_of((tmp_path / "list.pdf").read_bytes())
    assert len(pages) > 200
    assert [page.split("Стр. ")[1].split()[0] for page in pages] == [str(number + 1) for number in range(len(pages))]
    assert [word for page in pages for word in page.split() if word.startswith("строка-")] == rows


@pytest.mark.feature("CH-06")
def test_without_the_extra_the_answer_says_what_is_missing(
    world: World, person: Profile, charge: Charge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake that was installed alone names the extra that papers need; CSV needs none."""
    assert charge.id
    monkeypatch.delattr("reference_server.pdf", raising=False)
    monkeypatch.setitem(sys.modules, "reference_server.pdf", None)
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with connect_to(world, person) as cabinet:
        for wanted in (ExportFormat.PDF, ExportFormat.XLSX):
            with pytest.raises(InternalError, match=r"pip install 'cabinet-sdk\[server\]'"):
                cabinet.charges.export(wanted)
        with cabinet.charges.export(ExportFormat.CSV) as file:
            assert len(rows_of_csv(file.read())) == 2


def test_the_text_of_a_code_obeys_the_standard(charge: Charge) -> None:
    """What is too long is cut where GOST R 56042-2014 says, a separator inside is replaced, nothing is not paid."""
    requisites = charge.requisites
    long = requisites.bank_qr(Money("0.01"), purpose=f"1|2  3\n4 {'я' * 300}")

    said = dict(pair.split("=", 1) for pair in long.split("|")[1:])
    assert said["Sum"] == "1"
    assert said["Purpose"].startswith("1/2 3 4 я")
    assert len(said["Purpose"]) <= 210
    for amount in (Money.ZERO, Money("-1.00")):
        with pytest.raises(InvalidValue, match="above zero"):
            requisites.bank_qr(amount)


def test_the_text_of_a_code_has_nothing_unseen_and_fits_its_code(charge: Charge) -> None:
    """No controls, changes of direction and halves of characters; the longest one fits a code of error correction M."""
    wide = attrs.evolve(charge.requisites, payee="😀" * 300, bank="😀" * 300)

    text = wide.bank_qr(Money("1.00"), purpose="a\0b\u202ec\ud800 \x1b d\u200b", payer_inn=Inn("500100732259"))
    assert "|Purpose=abc d|" in text
    assert "|PayerINN=500100732259|" in text
    assert [pair.split("=")[0] for pair in text.split("|")[1:6]] == [
        "Name",
        "PersonalAcc",
        "BankName",
        "BIC",
        "CorrespAcc",
    ]
    longest = wide.bank_qr(Money("9999999999999999.99"), purpose="😀" * 300, payer_inn=Inn("500100732259"))
    assert len(longest.encode()) <= 2331


@pytest.mark.feature("CH-06", "CH-08")
async def test_a_text_longer_than_a_page_goes_on_on_the_next(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """Nothing of it is lost, in a document, a receipt and a list; the code of the payment is still there."""
    words = [f"слово{number:04}" for number in range(700)]
    charge = world.charges.add(person, Money("5.00"), purpose=" ".join(words))
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)

    awaited = await document(client, payment)
    world.charges.receive_transfer(person.inn, charge.due, purpose=payment.number)
    papers = awaited, await receipt(client, payment), await content(client, ExportFormat.PDF)

    for paper in papers:
        text = text_of(paper)
        assert [word for word in words if text.count(word) != 1] == []
    assert len(codes_of(awaited)) == 1


@pytest.mark.feature("CH-08")
def test_a_name_longer_than_a_page_goes_on_on_the_next(world: World) -> None:
    """What stands from margin to margin above a list goes on too, and the list after it."""
    words = [f"слово{number:04}" for number in range(2000)]
    person = world.profiles.add(" ".join(words))
    world.charges.add(person, Money("5.00"), purpose="Штраф-1")
    with connect_to(world, person) as cabinet, cabinet.charges.export(ExportFormat.PDF) as file:
        text = text_of(file.read())

    assert [word for word in words if text.count(word) != 1] == []
    assert text.count("Штраф-1") == 1


@pytest.mark.feature("CH-06", "CH-08")
async def test_no_character_is_lost_unseen(client: AsyncCabinet, world: World, person: Profile) -> None:
    """What the font of a paper lacks has a sign in its place, and the paper says so; accents are joined."""
    strange = world.charges.add(person, Money("5.00"), purpose="A\0B\u202eC😀D王E И\u0306Г <b>&amp;")
    usual = world.charges.add(person, Money("5.00"), purpose="Ёлки «№» – 5 ₽", kind=ChargeKind.TAX)

    shown = "A�B�C�D�E ЙГ <b>&amp;"
    payment = await client.charges.pay(strange.id, method=PaymentMethod.BANK_TRANSFER)
    for paper in (await document(client, payment), await content(client, ExportFormat.PDF)):
        text = text_of(paper)
        assert shown in text
        assert "� стоит вместо каждого знака" in text
    payment = await client.charges.pay(usual.id, method=PaymentMethod.BANK_TRANSFER)
    for paper in (
        await document(client, payment),
        await content(client, ExportFormat.PDF, kind=ChargeKind.TAX),
    ):
        assert "�" not in text_of(paper)


@pytest.mark.feature("CH-08")
async def test_large_amounts_are_exact_everywhere(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A number of more than 15 digits, which no spreadsheet shows, is text; a sum may be more than an amount can be."""
    for day, amount in enumerate(("9999999999999.99", "10000000000000.01", "92233720368547758.07"), start=1):
        world.charges.add(person, Money(amount), accrued_on=dt.date(2026, 10, day))

    head, *cells = rows_of_workbook(await content(client, ExportFormat.XLSX, order=ChargeOrder.OLDEST))
    accrued = [row[head.index("Начислено, ₽")] for row in cells]
    assert accrued == [9999999999999.99, "10000000000000,01", "92233720368547758,07"]
    world.charges.add(person, Money("92233720368547758.07"))
    text = text_of(await content(client, ExportFormat.PDF))
    assert "184 487 440 737 095 516,14 ₽" in text.replace("\xa0", " ")


@pytest.mark.feature("CH-08")
async def test_an_amount_stands_in_one_line(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Amounts up to a trillion, and their sums, are not broken between their thousands nor before the sign."""
    for amount in ("1234567890.12", "987654321098.76"):
        world.charges.add(person, Money(amount))

    (page,) = texts_of(await content(client, ExportFormat.PDF))

    for shown in ("1 234 567 890,12 ₽", "987 654 321 098,76 ₽", "988 888 888 988,88 ₽"):
        assert page.replace("\xa0", " ").count(shown) == 2


@pytest.mark.feature("CH-08")
async def test_days_before_spreadsheets_are_text(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A workbook has no days before 1900; such a day is written as in the other formats."""
    for day in (dt.date(999, 5, 6), dt.date(1899, 12, 31), dt.date(1900, 1, 1)):
        world.charges.add(person, Money("1.00"), accrued_on=day, due_on=dt.date(2026, 12, 1))

    _, *cells = rows_of_workbook(await content(client, ExportFormat.XLSX, order=ChargeOrder.OLDEST))
    _, *texts = rows_of_csv(await content(client, ExportFormat.CSV, order=ChargeOrder.OLDEST))

    assert [row[0] for row in texts] == ["06.05.0999", "31.12.1899", "01.01.1900"]
    assert "06.05.0999" in text_of(await content(client, ExportFormat.PDF))
    assert [row[0] for row in cells[:2]] == ["06.05.0999", "31.12.1899"]
    assert isinstance(cells[2][0], dt.datetime | dt.date)


@pytest.mark.feature("CH-08")
async def test_a_text_longer_than_a_cell_ends_in_an_ellipsis(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """A cell holds 32767 units of UTF-16, in which an emoji takes two."""
    for day, purpose in enumerate(("я" * 32767, "я" * 32768, "😀" * 20000), start=1):
        world.charges.add(person, Money("1.00"), purpose=purpose, accrued_on=dt.date(2026, 10, day))

    head, *cells = rows_of_workbook(await content(client, ExportFormat.XLSX, order=ChargeOrder.OLDEST))

    purposes = [row[head.index("Назначение")] for row in cells]
    assert purposes == ["я" * 32767, "я" * 32766 + "…", "😀" * 16383 + "…"]


def test_a_short_list_does_not_wait_for_a_long_one() -> None:
    """While a list is being drawn, another thread draws one from its beginning to its end."""
    sheet = Sheet[str](title="Список", about="", name="list", columns=(Column("Имя", str, printed=True),))
    short: list[str] = []

    def drawn(file: StoredFile) -> str:
        assert callable(file.content)
        spool = file.content()
        assert isinstance(spool, Spool)
        spool.file.seek(0)
        return text_of(spool.file.read())

    def draw_short() -> None:
        short.append(drawn(as_pdf(sheet, ["короткий"])))

    def long() -> Iterator[str]:
        yield "первый"
        thread = threading.Thread(target=draw_short, daemon=True)
        thread.start()
        thread.join(timeout=20)
        yield "последний"

    text = drawn(as_pdf(sheet, long()))

    assert "короткий" in "".join(short)
    assert "первый последний Всего строк: 2" in text
